//! The kinds of the cells of a group's key. A group whose cells had several shows the least (string first), which is the
//! same whatever row came first.

use crate::value::Kind;
use crate::value::column::{Column, Kinds};

/// The kinds of one key's cells.
pub(super) enum GroupKinds {
    /// All rows so far had this one; `None` before the first.
    Same(Option<Kind>),
    /// One a group.
    Each(Vec<Kind>),
}

impl GroupKinds {
    pub fn get(&self, group: usize) -> Kind {
        match self {
            GroupKinds::Same(kind) => kind.unwrap_or(Kind::String),
            // A group beyond the list has only nulls, whose kind means nothing.
            GroupKinds::Each(each) => each.get(group).copied().unwrap_or(LAST),
        }
    }

    /// The least kind seen in a group; where there is none, the one that gives way to every other.
    pub fn least(&self, group: usize) -> Kind {
        match self {
            GroupKinds::Same(kind) => kind.unwrap_or(LAST),
            GroupKinds::Each(_) => self.get(group),
        }
    }

    /// The kinds of some groups in a row.
    pub fn range(&self, first: usize, n: usize) -> Kinds {
        match self {
            GroupKinds::Same(kind) => Kinds::All(kind.unwrap_or(Kind::String)),
            GroupKinds::Each(_) => Kinds::Each((first..first + n).map(|g| self.get(g)).collect()),
        }
    }

    /// Turns to one kind a group, `groups` in all; the first `before` of them had the one kind so far.
    fn each(&mut self, before: usize, groups: usize) -> &mut Vec<Kind> {
        if let GroupKinds::Same(kind) = self {
            *self = GroupKinds::Each(vec![kind.unwrap_or(LAST); before]);
        }
        match self {
            GroupKinds::Each(each) => {
                each.resize(groups.max(each.len()), LAST);
                each
            }
            GroupKinds::Same(_) => unreachable!("just turned"),
        }
    }

    /// The kinds of one key in several tables, whose group `g` is group `map[g]` of `n`.
    pub fn merge(tables: &[(&GroupKinds, &[u32])], n: usize) -> GroupKinds {
        let mut seen = tables.iter().map(|(kinds, _)| match kinds {
            GroupKinds::Same(kind) => Some(*kind),
            GroupKinds::Each(_) => None,
        });
        let first = seen.next().flatten();
        if let Some(first) = first {
            let same = seen.try_fold(first, |all, next| match (all, next?) {
                (None, kind) | (kind, None) => Some(kind),
                (a, b) if a == b => Some(a),
                _ => None,
            });
            if let Some(kind) = same {
                return GroupKinds::Same(kind);
            }
        }
        let mut each = vec![LAST; n];
        for (kinds, map) in tables {
            for (group, to) in map.iter().enumerate() {
                let slot = &mut each[*to as usize];
                *slot = (*slot).min(kinds.get(group));
            }
        }
        GroupKinds::Each(each)
    }
}

/// The kind that gives way to every other.
pub(super) const LAST: Kind = Kind::Map;

/// Takes in the kinds of a batch's cells.
pub(super) fn note_kinds(kinds: &mut GroupKinds, column: &Column, groups: &[u32], before: usize, n_groups: usize) {
    let uniform = match column {
        Column::Text(_, Kinds::All(Kind::Float)) => Some(Kind::Number),
        Column::Text(_, Kinds::All(kind)) => Some(*kind),
        Column::Text(_, Kinds::Each(_)) => None,
        Column::Int(_) | Column::Float(_) => Some(Kind::Number),
        Column::Bool(_) => Some(Kind::Bool),
        Column::Time(_) => Some(Kind::Time),
        Column::Dict(_, words) => match words.kind() {
            Some(Kind::Float) => Some(Kind::Number),
            kind => kind,
        },
        Column::Const(v, _) => match v.as_ref().kind() {
            Some(kind) => Some(kind),
            None => return,
        },
    };
    if let (GroupKinds::Same(same), Some(kind)) = (&mut *kinds, uniform)
        && same.is_none_or(|s| s == kind)
    {
        *same = Some(kind);
        return;
    }
    let each = kinds.each(before, n_groups);
    for (i, group) in groups.iter().enumerate() {
        if let Some(kind) = column.get(i).kind() {
            let slot = &mut each[*group as usize];
            *slot = (*slot).min(kind);
        }
    }
}
