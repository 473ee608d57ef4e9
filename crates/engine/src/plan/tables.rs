//! `lookup`, `cidrlookup` and `in table`: columns from tables beside the data.

use super::lower::Lowering;
use super::{Expr, Op, Slot};
use backsight_lang::ast::{self, Name, Path};
use backsight_lang::diag::Diagnostic;

/// Cells of a table's first matching row.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The table's file.
    pub file: String,
    /// How a row is found.
    pub by: LookupBy,
    /// The table's columns, what they replace (only where that is null, if there is something), and where they go.
    pub outputs: Vec<(String, Option<Slot>, Slot)>,
}

/// How [`Lookup`] finds a row.
#[derive(Clone, Debug)]
pub enum LookupBy {
    /// All columns equal the cells, as text.
    Keys(Vec<(String, Slot)>),
    /// The longest network of the column (`cidr`, else the first) that holds the address.
    Network(Option<String>, Slot),
}

/// A set of values that is found out when the query runs.
#[derive(Clone, Debug)]
pub enum SetSource {
    /// The one column of a sub-query.
    Query(Box<super::Plan>),
    /// A column of a table, the first by default; networks hold addresses.
    Table {
        /// The table's file.
        file: String,
        /// The column.
        column: Option<String>,
    },
}

impl Lowering<'_> {
    /// The file of a table (E051).
    fn table(&mut self, name: &Name) -> Option<String> {
        if let Some((_, file)) = self.tables.iter().rev().find(|(n, _)| *n == name.text) {
            return Some(file.clone());
        }
        let known: Vec<String> = self.tables.iter().map(|(n, _)| n.clone()).collect();
        let error = Diagnostic::error("E051", name.span, format!("unknown table `{}`", name.text));
        let near = backsight_lang::diag::nearest(&name.text, known.iter().map(String::as_str)).map(str::to_owned);
        self.report(match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => error
                .help(format!("declare it: `table {} from \"file.csv\"`, or give `--table {0}=file.csv`", name.text)),
            None => error.help(format!("known tables: {}", known.join(", "))),
        });
        None
    }

    pub(super) fn in_table(&mut self, input: Expr, name: &Name, column: Option<&Name>) -> Expr {
        match self.table(name) {
            Some(file) => {
                self.sets.push(SetSource::Table { file, column: column.map(|c| c.text.clone()) });
                Expr::InQuery(Box::new(input), self.sets.len() - 1)
            }
            None => input,
        }
    }

    pub(super) fn lookup(&mut self, lookup: &ast::Lookup) {
        let keys = lookup
            .keys
            .iter()
            .map(|(column, field)| {
                let path = field.clone().unwrap_or_else(|| name_path(column));
                let e = ast::Expr { kind: ast::ExprKind::Path(path), span: column.span };
                (column.text.clone(), self.slot_of(&e))
            })
            .collect();
        self.look_up(&lookup.table, LookupBy::Keys(keys), &lookup.output);
    }

    pub(super) fn cidrlookup(&mut self, lookup: &ast::CidrLookup) {
        let ip = self.slot_of(&lookup.ip);
        let by = LookupBy::Network(lookup.column.as_ref().map(|c| c.text.clone()), ip);
        self.look_up(&lookup.table, by, &lookup.output);
    }

    fn look_up(&mut self, table: &Name, by: LookupBy, output: &ast::Output) {
        let Some(file) = self.table(table) else { return };
        let mut outputs = Vec::new();
        let mut named = Vec::new();
        for (column, alias) in &output.columns {
            let name = alias.as_ref().unwrap_or(column);
            let old = output.only_new.then(|| {
                let e = ast::Expr { kind: ast::ExprKind::Path(name_path(name)), span: name.span };
                // After `stats` the name may be new: then there is nothing to keep.
                let exists = !self.scope.closed || self.scope.created(&name.text).is_some();
                exists.then(|| self.slot_of(&e))
            });
            let slot = self.scope.slot();
            outputs.push((column.text.clone(), old.flatten(), slot));
            named.push((name.text.clone(), slot));
        }
        self.ops.push(Op::Lookup(Lookup { file, by, outputs }));
        named.iter().for_each(|(n, s)| self.scope.create(n, *s));
        self.scope.shown.append(&named);
    }
}

fn name_path(name: &Name) -> Path {
    Path { segments: vec![ast::Segment::Name { text: name.text.clone(), quoted: false }], span: name.span }
}
