//! The binary in a real pseudo-terminal, and the screen it draws. Each test uses a part of it.
#![allow(dead_code)]

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a screen is waited for. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with the program in it.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shared: Arc<(Mutex<Shown>, Condvar)>,
}

/// What arrived so far.
struct Shown {
    parser: vt100::Parser,
    raw: Vec<u8>,
    closed: bool,
}

impl Terminal {
    /// Starts the program in a terminal of this size; it finds its home in `folder` and runs there.
    pub fn start(folder: &Path, args: &[&str], (columns, rows): (u16, u16), env: &[(&str, &str)]) -> Terminal {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_backsight"));
        command.args(args);
        command.cwd(folder);
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("HOME", &folder.to_string_lossy()), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        env.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("the binary runs");
        drop(pair.slave);
        let keys = pair.master.take_writer().expect("a writer");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let shown =
            Shown { parser: vt100::Parser::new(some(rows), some(columns), 2_000), raw: Vec::new(), closed: false };
        let shared = Arc::new((Mutex::new(shown), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let n = reader.read(&mut buffer).unwrap_or(0);
                let mut shown = theirs.0.lock().expect("no panic while locked");
                shown.parser.process(&buffer[..n]);
                shown.raw.extend_from_slice(&buffer[..n]);
                shown.closed |= n == 0;
                theirs.1.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Terminal { master: pair.master, keys, child, shared }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal takes keys");
    }

    /// Waits until the screen is as wanted, and gives it.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        let mut shown = self.shared.0.lock().expect("no panic while locked");
        loop {
            let screen = shown.parser.screen().contents();
            if wanted(&screen) {
                return screen;
            }
            let left = PATIENCE.saturating_sub(started.elapsed());
            assert!(!left.is_zero() && !shown.closed, "the screen never showed {what}:\n{screen}");
            shown = self.shared.1.wait_timeout(shown, left.min(Duration::from_millis(200))).expect("no panic").0;
        }
    }

    /// Types, and waits for a text on the screen.
    #[track_caller]
    pub fn shows(&mut self, keys: &str, text: &str) -> String {
        self.keys(keys);
        self.until(text, |screen| screen.contains(text))
    }

    /// Clears the screen as a person would, and waits for that.
    #[track_caller]
    pub fn clear(&mut self) {
        let clears = |raw: &[u8]| raw.windows(6).filter(|bytes| *bytes == b"\x1b[H\x1b[J").count();
        let before = clears(&self.raw());
        self.keys("\x0c");
        let started = Instant::now();
        while clears(&self.raw()) == before {
            assert!(started.elapsed() < PATIENCE, "the screen was never cleared:\n{}", self.until("", |_| true));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Everything the program wrote.
    pub fn raw(&self) -> Vec<u8> {
        self.shared.0.lock().expect("no panic while locked").raw.clone()
    }

    /// Whether the program has closed the terminal.
    pub fn is_closed(&self) -> bool {
        self.shared.0.lock().expect("no panic while locked").closed
    }

    /// Another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.shared.0.lock().expect("no panic while locked").parser.screen_mut().set_size(some(rows), some(columns));
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("a new size");
    }

    /// Waits for the end; the exit status.
    pub fn end(mut self) -> u32 {
        let started = Instant::now();
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status.exit_code(),
                None => assert!(started.elapsed() < PATIENCE, "the program did not end"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn some(n: u16) -> NonZero<u16> {
    NonZero::new(n).expect("a size")
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
