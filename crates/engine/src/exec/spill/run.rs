//! A temporary file of sorted records. A key is written as how much of it is as in the key before, and the rest.

use crate::error::Error;
use crate::exec::memory::{Memory, ScratchFile};
use std::io::{self, BufReader, BufWriter, Read, SeekFrom, Write};
use std::sync::Arc;

/// Records on the disk.
pub(super) struct Run {
    file: Box<dyn ScratchFile>,
    records: u64,
}

/// Writes a run.
pub(super) struct Writer {
    memory: Arc<Memory>,
    out: BufWriter<Box<dyn ScratchFile>>,
    last: Vec<u8>,
    head: Vec<u8>,
    records: u64,
}

impl Writer {
    pub fn new(memory: &Arc<Memory>) -> Result<Writer, Error> {
        let out = BufWriter::with_capacity(64 << 10, memory.file()?);
        Ok(Writer { memory: Arc::clone(memory), out, last: Vec::new(), head: Vec::new(), records: 0 })
    }

    /// Appends a record; keys come in order.
    pub fn put(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        let same = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.head.clear();
        for n in [same, key.len() - same, payload.len()] {
            push_size(n as u64, &mut self.head);
        }
        let parts = [&self.head, &key[same..], payload];
        parts.iter().try_for_each(|part| self.out.write_all(part)).map_err(|e| self.memory.failed(e))?;
        self.last.truncate(same);
        self.last.extend_from_slice(&key[same..]);
        self.records += 1;
        Ok(())
    }

    pub fn finish(self) -> Result<Run, Error> {
        let Writer { memory, out, records, .. } = self;
        let mut file = out.into_inner().map_err(|e| memory.failed(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(|e| memory.failed(e))?;
        Ok(Run { file, records })
    }
}

impl Run {
    /// Reads the records, so many bytes of the file at once.
    pub fn read(self, at_once: usize, memory: &Arc<Memory>) -> Reader {
        Reader {
            memory: Arc::clone(memory),
            file: BufReader::with_capacity(at_once, self.file),
            left: self.records,
            key: Vec::new(),
            payload: Vec::new(),
        }
    }
}

/// Reads a run, record by record.
pub(super) struct Reader {
    memory: Arc<Memory>,
    file: BufReader<Box<dyn ScratchFile>>,
    left: u64,
    key: Vec<u8>,
    payload: Vec<u8>,
}

impl Reader {
    /// Goes to the next record; false if there is none.
    pub fn advance(&mut self) -> Result<bool, Error> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.read().map_err(|e| self.memory.failed(e))?;
        Ok(true)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut sizes = [0; 3];
        for size in &mut sizes {
            *size = read_size(&mut self.file)?;
        }
        let [same, rest, payload] = sizes;
        self.key.truncate(same);
        self.key.resize(same + rest, 0);
        self.file.read_exact(&mut self.key[same..])?;
        self.payload.resize(payload, 0);
        self.file.read_exact(&mut self.payload)
    }

    /// The key at hand.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What came with it.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Appends a number, seven bits a byte, lowest first.
pub(super) fn push_size(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn read_size(file: &mut impl Read) -> io::Result<usize> {
    let (mut n, mut shift) = (0u64, 0);
    loop {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        n |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
        // Lengths have 32 bits; more is not what was written.
        if byte[0] < 0x80 && n <= u64::from(u32::MAX) {
            return Ok(n as usize);
        }
        if shift > 35 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
