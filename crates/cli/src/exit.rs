//! Exit statuses.

use backsight_engine::error::Error;
use std::io::ErrorKind;

/// Answered.
pub(crate) const ANSWERED: u8 = 0;
/// A check found something.
pub(crate) const FOUND: u8 = 1;
/// The query or the arguments are wrong, or no input could be read: nothing was answered.
pub(crate) const WRONG: u8 = 2;
/// Answered, but part of the input was damaged.
pub(crate) const DAMAGED: u8 = 3;
/// A limit or the disk stopped it.
pub(crate) const LIMIT: u8 = 4;
/// Interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

/// The status of a run that failed.
pub(crate) fn status(error: &Error) -> u8 {
    match error {
        Error::Query(_) | Error::Input { .. } | Error::Bug(_) => WRONG,
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge | ErrorKind::OutOfMemory => {
                LIMIT
            }
            _ => WRONG,
        },
        Error::Limit(_) => LIMIT,
        Error::Closed => ANSWERED,
        Error::Cancelled => INTERRUPTED,
    }
}
