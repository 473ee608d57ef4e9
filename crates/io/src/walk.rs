//! Walking a directory, in parallel and in order of names.
//!
//! All directories of one depth are read at once, with as many threads as there are; what was met is then strung together as
//! if one had walked alone, so that the order depends on nothing but names.

use crate::discover::{Identity, identity};
use rayon::prelude::*;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};

/// Something met on a walk.
#[derive(Debug)]
pub(crate) struct Met {
    pub path: PathBuf,
    pub what: What,
}

/// What it is, links followed.
#[derive(Debug)]
pub(crate) enum What {
    /// A regular file.
    File(Metadata),
    /// A pipe, a socket, a device.
    Other,
    /// Left out, going by its name.
    Unwanted(&'static str),
    /// A link to a directory it lies in.
    Loop(PathBuf),
    /// It cannot be looked at.
    Fault(std::io::Error),
}

/// Says by its name why something is left out; directories only where the second is true.
pub(crate) type Unwanted = fn(&str) -> Option<(&'static str, bool)>;

/// A directory that was read.
struct Folder {
    path: PathBuf,
    identity: Option<Identity>,
    /// The one it lies in.
    above: Option<usize>,
    entries: Vec<Entry>,
}

enum Entry {
    Met(Met),
    /// By its number, once it is read.
    Folder(PathBuf, Option<Identity>, usize),
}

/// All that lies under a directory, in order of names.
///
/// # Errors
/// The directory itself cannot be read.
pub(crate) fn walk(root: &Path, unwanted: Unwanted) -> std::io::Result<Vec<Met>> {
    let metadata = std::fs::metadata(root)?;
    std::fs::read_dir(root)?;
    let mut folders = vec![Folder::new(root.to_owned(), identity(root, &metadata), None)];
    let mut read = 0;
    while read < folders.len() {
        let next = folders.len();
        let lists: Vec<Vec<Entry>> =
            (read..next).into_par_iter().map(|folder| list(&folders, folder, unwanted)).collect();
        for (folder, mut entries) in (read..next).zip(lists) {
            for entry in &mut entries {
                if let Entry::Folder(path, identity, number) = entry {
                    *number = folders.len();
                    folders.push(Folder::new(path.clone(), identity.take(), Some(folder)));
                }
            }
            folders[folder].entries = entries;
        }
        read = next;
    }
    let mut all = Vec::new();
    let mut open = vec![std::mem::take(&mut folders[0].entries).into_iter()];
    while let Some(entries) = open.last_mut() {
        match entries.next() {
            None => drop(open.pop()),
            Some(Entry::Met(met)) => all.push(met),
            Some(Entry::Folder(_, _, number)) => open.push(std::mem::take(&mut folders[number].entries).into_iter()),
        }
    }
    Ok(all)
}

impl Folder {
    fn new(path: PathBuf, identity: Option<Identity>, above: Option<usize>) -> Folder {
        Folder { path, identity, above, entries: Vec::new() }
    }
}

/// What lies in a directory, by name.
fn list(folders: &[Folder], number: usize, unwanted: Unwanted) -> Vec<Entry> {
    let folder = &folders[number].path;
    let fault = |error| vec![Entry::Met(Met { path: folder.clone(), what: What::Fault(error) })];
    let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return fault(error),
    };
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (entry.file_name(), entry)).collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let look = |(name, entry): (std::ffi::OsString, std::fs::DirEntry)| {
        let path = folder.join(&name);
        match look(folders, number, &path, &name.to_string_lossy(), entry.file_type(), unwanted) {
            Ok(entry) => entry,
            Err(error) => Entry::Met(Met { path, what: What::Fault(error) }),
        }
    };
    entries.into_par_iter().map(look).collect()
}

fn look(
    folders: &[Folder],
    above: usize,
    path: &Path,
    name: &str,
    kind: std::io::Result<FileType>,
    unwanted: Unwanted,
) -> std::io::Result<Entry> {
    let is_link = kind?.is_symlink();
    let metadata = std::fs::metadata(path)?;
    let met = |what| Ok(Entry::Met(Met { path: path.to_owned(), what }));
    if let Some((why, directories)) = unwanted(name)
        && (metadata.is_file() || directories)
    {
        return met(What::Unwanted(why));
    }
    if metadata.is_file() {
        return met(What::File(metadata));
    }
    if !metadata.is_dir() {
        return met(What::Other);
    }
    let own = identity(path, &metadata);
    let around = std::iter::successors(Some(above), |folder| folders[*folder].above);
    let same = |folder: &usize| is_link && own.is_some() && folders[*folder].identity == own;
    match around.map(|folder| (same(&folder), folder)).find(|(same, _)| *same) {
        Some((_, folder)) => met(What::Loop(folders[folder].path.clone())),
        None => Ok(Entry::Folder(path.to_owned(), own, 0)),
    }
}
