use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { inodes: 6, descriptors: 3, handles: 1 };

/// Holds what it has references to, and checks who takes them back.
#[derive(Default)]
struct Host {
    references: RefCell<HashMap<u64, u64>>,
    /// Where there are other files than at first.
    replaced: HashMap<u64, i64>,
}

impl Holder for Host {
    fn identity(&self, node: u64) -> Option<Identity> {
        assert!(self.references.borrow().contains_key(&node), "{node} is not held");
        Some(Identity::Made(0, self.replaced.get(&node).copied().unwrap_or_default(), 0))
    }

    fn let_go(&self, node: u64, times: u64) {
        let mut references = self.references.borrow_mut();
        let left = references[&node].checked_sub(times).expect("no more than there are");
        match left {
            0 => references.remove(&node),
            left => references.insert(node, left),
        };
    }
}

impl Host {
    fn look_up(&self, node: u64) {
        *self.references.borrow_mut().entry(node).or_default() += 1;
    }

    fn tell(&self, table: &mut Table, node: u64, parent: u64) -> Result<u64, Errno> {
        self.look_up(node);
        let added = table.add(self, node, parent, &name(node));
        added.inspect_err(|_| self.let_go(node, 1))
    }

    /// As a session does.
    fn bring_back(&self, table: &mut Table, node: u64) -> Result<(), Errno> {
        let (mut above, way) = table.way(node);
        let mut result = Ok(());
        for node in way {
            assert_eq!(table.name(node, above), Some(name(node)));
            self.look_up(node);
            result = table.found(self, node).inspect_err(|_| self.let_go(node, 1));
            if result.is_err() {
                break;
            }
            table.end(self, above);
            above = node;
        }
        table.end(self, above);
        result
    }

    fn hold(&self, table: &mut Table, node: u64) -> Result<(), Errno> {
        if table.begin(node)? {
            return Ok(());
        }
        self.bring_back(table, node).inspect_err(|_| table.end(self, node))
    }
}

fn name(node: u64) -> CString {
    CString::new(node.to_string()).unwrap()
}

#[test]
fn what_was_let_go_is_found_again_by_its_way() {
    let (host, mut table) = (Host::default(), Table::new(LIMITS));
    for node in 2..8 {
        host.tell(&mut table, node, node - 1).unwrap();
    }
    assert_eq!(host.references.borrow().len(), 3);
    assert_eq!(host.tell(&mut table, 8, 7), Err(Errno::ENFILE));
    assert_eq!(host.tell(&mut table, 7, 6), Ok(0));
    for node in [2, 7, 4, 3] {
        host.hold(&mut table, node).unwrap();
        assert!(host.references.borrow().contains_key(&node));
        table.end(&host, node);
    }
    assert_eq!(table.begin(9), Err(Errno::EBADF));
}

#[test]
fn another_file_of_the_same_number_is_another() {
    let (mut host, mut table) = (Host::default(), Table::new(LIMITS));
    for node in 2..6 {
        host.tell(&mut table, node, ROOT_ID).unwrap();
    }
    assert!(!host.references.borrow().contains_key(&2));
    host.replaced.insert(2, 1);
    assert_eq!(host.hold(&mut table, 2), Err(Errno::ESTALE));
    assert!(!host.references.borrow().contains_key(&2));
    // Under its name there is one again, and the guest is told that it is new.
    assert_eq!(host.tell(&mut table, 2, ROOT_ID), Ok(1));
    assert_eq!(host.hold(&mut table, 2), Ok(()));
}

#[test]
fn what_is_in_use_is_not_let_go() {
    let (host, mut table) = (Host::default(), Table::new(LIMITS));
    for node in 2..5 {
        host.tell(&mut table, node, ROOT_ID).unwrap();
        host.hold(&mut table, node).unwrap();
    }
    assert_eq!(host.tell(&mut table, 5, ROOT_ID), Err(Errno::ENFILE));
    table.end(&host, 3);
    assert_eq!(host.tell(&mut table, 5, ROOT_ID), Ok(0));
    assert_eq!(host.hold(&mut table, 5), Ok(()));
    assert_eq!(host.hold(&mut table, 3), Err(Errno::ENFILE));
}

#[test]
fn a_directory_is_remembered_as_long_as_what_was_seen_in_it() {
    let (host, mut table) = (Host::default(), Table::new(LIMITS));
    host.tell(&mut table, 2, ROOT_ID).unwrap();
    host.tell(&mut table, 3, 2).unwrap();
    table.remove(&host, 2, 1);
    assert_eq!(table.begin(2), Err(Errno::EBADF));
    assert_eq!(table.inodes.len(), 2);
    // It is seen elsewhere.
    host.tell(&mut table, 3, ROOT_ID).unwrap();
    assert_eq!(table.inodes.len(), 1);
    table.remove(&host, 3, 2);
    assert!(table.inodes.is_empty() && host.references.borrow().is_empty());
}

#[test]
fn directories_that_the_host_turns_inside_out_make_no_circle() {
    let (host, mut table) = (Host::default(), Table::new(LIMITS));
    host.tell(&mut table, 2, ROOT_ID).unwrap();
    host.tell(&mut table, 3, 2).unwrap();
    host.tell(&mut table, 4, 3).unwrap();
    host.tell(&mut table, 2, 4).unwrap();
    host.tell(&mut table, 2, 2).unwrap();
    for node in [4, 3, 2] {
        table.remove(&host, node, 9);
    }
    assert!(table.inodes.is_empty() && host.references.borrow().is_empty());
}

/// What a guest, or its host, may do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Tell { node: u64, parent: u64 },
    TakeBack { node: u64 },
    Forget { node: u64, times: u64 },
    Begin { node: u64 },
    End { node: u64 },
    Move { node: u64, parent: u64 },
    Replace { node: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nodes = || 2_u64..12;
    let step = prop_oneof![
        4 => (nodes(), 1_u64..12).prop_map(|(node, parent)| Step::Tell { node, parent }),
        1 => nodes().prop_map(|node| Step::TakeBack { node }),
        2 => (nodes(), 1_u64..4).prop_map(|(node, times)| Step::Forget { node, times }),
        3 => nodes().prop_map(|node| Step::Begin { node }),
        3 => nodes().prop_map(|node| Step::End { node }),
        1 => (nodes(), 1_u64..12).prop_map(|(node, parent)| Step::Move { node, parent }),
        1 => nodes().prop_map(|node| Step::Replace { node }),
    ];
    proptest::collection::vec(step, 0..80)
}

/// What a table is to come to: how often the guest was told of each inode, and
/// how many use it.
#[derive(Default)]
struct Model {
    told: HashMap<u64, u64>,
    users: HashMap<u64, usize>,
}

impl Model {
    fn step(&mut self, host: &mut Host, table: &mut Table, step: Step) {
        match step {
            // A parent is in use while something is looked up in it.
            Step::Tell { node, parent } if host.hold(table, parent).is_ok() => {
                match host.tell(table, node, parent) {
                    Ok(_) => *self.told.entry(node).or_default() += 1,
                    Err(error) => assert_eq!(error, Errno::ENFILE),
                }
                table.end(host, parent);
            }
            Step::TakeBack { node } if host.tell(table, node, ROOT_ID).is_ok() => {
                table.take_back(host, node);
                host.let_go(node, 1);
            }
            Step::Forget { node, times } => {
                table.remove(host, node, times);
                let told = self.told.entry(node).or_default();
                *told = told.saturating_sub(times);
            }
            Step::Begin { node } => {
                let is_told = self.told.get(&node).is_some_and(|told| *told > 0);
                match host.hold(table, node) {
                    Ok(()) => {
                        assert!(is_told && host.references.borrow().contains_key(&node));
                        *self.users.entry(node).or_default() += 1;
                    }
                    Err(error) => assert_eq!(error == Errno::EBADF, !is_told, "{error}"),
                }
            }
            Step::End { node } => {
                if let Some(users) = self.users.get_mut(&node).filter(|users| **users > 0) {
                    *users -= 1;
                    table.end(host, node);
                }
            }
            Step::Move { node, parent } if host.hold(table, parent).is_ok() => {
                table.moved(host, node, parent, &name(node));
                table.end(host, parent);
            }
            Step::Replace { node } if !host.references.borrow().contains_key(&node) => {
                *host.replaced.entry(node).or_default() += 1;
            }
            _ => (),
        }
    }
}

proptest! {
    #[test]
    fn a_table_holds_no_more_than_it_may_and_nothing_that_is_over(steps in steps()) {
        let (mut host, mut table) = (Host::default(), Table::new(LIMITS));
        let mut model = Model::default();
        for step in steps {
            model.step(&mut host, &mut table, step);
            prop_assert!(host.references.borrow().len() <= LIMITS.descriptors);
            prop_assert!(table.inodes.len() <= LIMITS.inodes);
            for (node, users) in &model.users {
                prop_assert!(*users == 0 || host.references.borrow().contains_key(node));
            }
            for (node, told) in &model.told {
                prop_assert_eq!(table.inodes.get(node).map_or(0, |known| known.times), *told);
            }
        }
        for (node, users) in &model.users {
            (0..*users).for_each(|_| table.end(&host, *node));
        }
        for node in model.told.keys() {
            table.remove(&host, *node, u64::MAX);
        }
        prop_assert!(table.inodes.is_empty());
        prop_assert!(host.references.borrow().is_empty());
    }
}
