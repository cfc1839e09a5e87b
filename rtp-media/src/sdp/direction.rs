//! Who sends on a stream: `sendrecv`, `sendonly`, `recvonly`, `inactive` (RFC 8866 6.7).
//! Hold is nothing else than one of these, or the address 0.0.0.0 of older phones.

/// The direction of a stream, seen from the side that states it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both sides send: the default when nothing is stated.
    #[default]
    SendRecv,
    /// This side sends and wants nothing back: a hold with music.
    SendOnly,
    /// This side listens and sends nothing.
    RecvOnly,
    /// Neither sends: a silent hold.
    Inactive,
}

impl Direction {
    /// The attribute's name as written in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The direction of this attribute name, if it is one.
    pub fn from_name(name: &str) -> Option<Direction> {
        [
            Direction::SendRecv,
            Direction::SendOnly,
            Direction::RecvOnly,
            Direction::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.name() == name)
    }

    /// Whether the side that states this direction sends media.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the side that states this direction takes media.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same stream seen from the other side: their `sendonly` is our `recvonly`.
    pub fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }

    /// What is left when both wishes must hold: a side sends only if both let it.
    pub fn and(self, other: Direction) -> Direction {
        Direction::of(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_reversed_twice_is_itself() {
        for name in ["sendrecv", "sendonly", "recvonly", "inactive"] {
            let direction = Direction::from_name(name).unwrap();
            assert_eq!(direction.reversed().reversed(), direction);
            assert_eq!(direction.name(), name);
            assert_eq!(direction.and(Direction::SendRecv), direction);
            assert_eq!(direction.and(Direction::Inactive), Direction::Inactive);
        }
    }

    #[test]
    fn their_sendonly_is_our_recvonly() {
        assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
        assert_eq!(Direction::Inactive.reversed(), Direction::Inactive);
    }
}
