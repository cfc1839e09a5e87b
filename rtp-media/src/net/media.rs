//! The node's media plane: starts the shards, opens legs, and takes everything down in order.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::config::MediaConfig;
use super::error::{MediaError, OpenError};
use super::events::{LegEvents, Queue};
use super::leg::{Leg, Shared};
use super::ports::Ports;
use super::shard::{self, Key, Lease, NewLeg, Order, ShardHandle, Sockets};

/// The media plane. Clones share it; it stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Media {
    plane: Arc<Plane>,
}

impl Media {
    /// Starts the shard threads.
    ///
    /// # Errors
    /// [`MediaError`] when the range holds no port pair, or the system gives no thread.
    pub fn start(config: MediaConfig) -> Result<Media, MediaError> {
        if let Some(advertise) = config.advertise
            && !config.bind.is_unspecified()
            && advertise.is_ipv4() != config.bind.is_ipv4()
        {
            let bind = config.bind;
            return Err(MediaError::Family { advertise, bind });
        }
        let start = usize::from(u16::from_be_bytes(random()?));
        let ports = Ports::new(config.ports.clone(), config.quarantine, start);
        let ports = ports.ok_or_else(|| MediaError::NoPorts {
            range: config.ports.clone(),
        })?;
        let ports = Arc::new(Mutex::new(ports));
        let shards = (0..config.shards.max(1))
            .map(shard::start)
            .collect::<Result<_, _>>()?;
        Ok(Media {
            plane: Arc::new(Plane {
                config,
                ports,
                shards,
                next_key: AtomicUsize::new(0),
            }),
        })
    }

    /// Binds a port pair for one call. Nothing is sent before [`Leg::start`].
    ///
    /// `ip` is the local address that the call came in on: it is told to the peer when no address
    /// to advertise is configured, and bound to when the configured one is unspecified.
    ///
    /// # Errors
    /// [`OpenError`]: no port is left, or the system gives no socket.
    pub fn open(&self, ip: Option<IpAddr>) -> Result<(Leg, LegEvents), OpenError> {
        let config = &self.plane.config;
        let ip = ip.filter(|ip| !ip.is_unspecified());
        let bind = match ip {
            Some(ip) if config.bind.is_unspecified() => ip,
            _ => config.bind,
        };
        let told = config
            .advertise
            .or_else(|| Some(bind).filter(|bind| !bind.is_unspecified()));
        let told = told.ok_or(OpenError::NoAddress { bind })?;
        let shard = self.least_loaded().ok_or(OpenError::Stopped)?;
        let entropy = random().map_err(OpenError::Random)?;

        let (port, sockets) = self.plane.bind(bind)?;
        let key = Key(self.plane.next_key.fetch_add(1, Ordering::Relaxed));
        let queue = Arc::new(Queue::default());
        let shared = Arc::new(Shared {
            queue: Arc::clone(&queue),
            ..Shared::default()
        });
        shard.load.fetch_add(1, Ordering::Relaxed);
        let order = Order::Open(Box::new(NewLeg {
            key,
            sockets,
            lease: Lease {
                ports: Arc::clone(&self.plane.ports),
                port,
                load: Arc::clone(&shard.load),
                shared: Arc::clone(&shared),
            },
            entropy,
        }));
        if shard.orders.send(order).is_err() {
            return Err(OpenError::Stopped);
        }
        shard.wake();
        let leg = Leg::new(
            key,
            SocketAddr::new(told, port),
            config.playout_limit,
            shard.orders.clone(),
            Arc::clone(&shard.waker),
            shared,
        );
        Ok((leg, LegEvents::new(queue)))
    }

    /// How full the media plane is.
    pub fn counts(&self) -> Counts {
        let (in_use, quarantined, pairs) = self.plane.ports().counts(Instant::now());
        Counts {
            legs: in_use,
            quarantined,
            pairs,
        }
    }

    /// Closes all legs, each with its last event, and waits for the threads to end. From then on
    /// [`Media::open`] fails with [`OpenError::Stopped`].
    pub fn shutdown(&self) {
        self.plane.stop();
    }

    fn least_loaded(&self) -> Option<&ShardHandle> {
        let load = |shard: &&ShardHandle| shard.load.load(Ordering::Relaxed);
        self.plane.shards.iter().min_by_key(load)
    }
}

/// How full the media plane is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Open legs; each holds one port pair.
    pub legs: usize,
    /// Port pairs that rest after a call.
    pub quarantined: usize,
    /// Port pairs of the range in all.
    pub pairs: usize,
}

/// What all clones of a [`Media`] share. Legs do not hold it: the last clone ends them.
#[derive(Debug)]
struct Plane {
    config: MediaConfig,
    ports: Arc<Mutex<Ports>>,
    shards: Vec<ShardHandle>,
    next_key: AtomicUsize,
}

impl Plane {
    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds the next free pair, leaving out those that the system has given to others.
    fn bind(&self, ip: IpAddr) -> Result<(u16, Sockets), OpenError> {
        let (_, _, pairs) = self.ports().counts(Instant::now());
        for _ in 0..pairs {
            // Bound without the lock: shards need it to give ports back.
            let Some(port) = self.ports().take(Instant::now()) else {
                break;
            };
            match Sockets::bind(ip, port) {
                Ok(sockets) => return Ok((port, sockets)),
                Err(source) => {
                    self.ports().give_back(port);
                    if !is_taken(&source) {
                        return Err(OpenError::Socket { port, source });
                    }
                }
            }
        }
        let (in_use, quarantined, _) = self.ports().counts(Instant::now());
        Err(OpenError::Exhausted {
            range: self.config.ports.clone(),
            in_use,
            quarantined,
        })
    }

    fn stop(&self) {
        // All are told before any is waited for.
        self.shards.iter().for_each(ShardHandle::stop);
        self.shards.iter().for_each(ShardHandle::join);
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether another program has the port, or the system keeps it to itself.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
