//! REFER subscriptions inside a dialog (RFC 3515, RFC 5057), identified by the CSeq of their REFER.
//! They may outlive the BYE; a bounded list, oldest first.

/// The live REFER subscriptions of one direction.
#[derive(Debug, Default)]
pub(crate) struct ReferUsages(Vec<u32>);

impl ReferUsages {
    /// Adds the subscription that the REFER with this CSeq made. The oldest gives way when there
    /// are more than anybody uses.
    pub(crate) fn add(&mut self, seq: u32) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        if !self.0.contains(&seq) {
            self.0.push(seq);
        }
    }

    /// Removes the subscription of one REFER.
    pub(crate) fn remove(&mut self, seq: u32) {
        self.0.retain(|live| *live != seq);
    }

    /// Removes the subscription that a final NOTIFY names with its `id`; without a known one, the
    /// oldest.
    ///
    /// RFC 3515 2.4.6 asks for the id only from the second REFER on, and some send none at all.
    pub(crate) fn finish(&mut self, id: Option<u32>) {
        match id {
            Some(seq) if self.0.contains(&seq) => self.remove(seq),
            _ if self.0.is_empty() => {}
            _ => {
                self.0.remove(0);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

// A dialog with more transfers than this at once is not a call.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_notify_ends_the_one_it_names_or_the_oldest() {
        let mut usages = ReferUsages::default();
        usages.add(2);
        usages.add(3);
        usages.finish(Some(3));
        usages.add(4);
        usages.finish(None);
        assert_eq!(usages.0, [4]);
        usages.finish(Some(99));
        assert!(usages.is_empty());
        usages.finish(None);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut usages = ReferUsages::default();
        (0..100).for_each(|seq| usages.add(seq));
        assert_eq!(usages.0.len(), MOST);
    }
}
