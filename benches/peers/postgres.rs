//! A PostgreSQL of our own, as a durable queue.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const QUEUE: &str = "CREATE TABLE queue (id uuid PRIMARY KEY, job uuid NOT NULL, state text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(), \
     payload bytea NOT NULL); CREATE INDEX ON queue (job, received_at) WHERE state = 'queued'";
const INSERT: &str = "INSERT INTO queue (id, job, state, payload) VALUES (gen_random_uuid(), '6d31e09f-0249-459f-94f0-aad9c2c47b64', 'queued', \
     decode(repeat('ab', 1024), 'hex'));\n";

/// A PostgreSQL of our own in a scratch directory, with a queue table; synchronous_commit and fsync as they come: on.
pub struct Postgres {
    programs: PathBuf,
    data: PathBuf,
}

impl Postgres {
    /// `None`, with a word, where it is not installed.
    pub fn start(dir: &Path) -> Option<Postgres> {
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
        let Some(programs) = installed.filter(|bin| bin.join("pgbench").exists() && bin.join("initdb").exists()).max() else {
            println!("  PostgreSQL: skipped, it is not installed (Debian: postgresql)");
            return None;
        };
        let home = dir.join("postgres");
        std::fs::create_dir_all(&home).unwrap();
        // The server refuses to run as root: then its package's user runs it.
        Command::new("chown").arg("postgres").args([&home]).stderr(Stdio::null()).status().unwrap();
        Command::new("chmod").arg("a+x").arg(dir).status().unwrap();
        let postgres = Postgres { programs, data: home.join("data") };
        let data = postgres.data.display().to_string();
        let socket =
            format!("-c unix_socket_directories={} -c listen_addresses= -c wal_level=minimal -c max_wal_senders=0", home.display());
        let begun = postgres.run("initdb", &["-A", "trust", "-U", "bench", "-D", &data])
            && postgres.run("pg_ctl", &["-w", "-D", &data, "-o", &socket, "-l", &format!("{data}/log"), "start"])
            && postgres.run("psql", &["-h", &home.display().to_string(), "-U", "bench", "-d", "postgres", "-c", QUEUE]);
        if !begun {
            println!("  PostgreSQL: skipped, it does not start here");
            return None;
        }
        std::fs::write(dir.join("insert.sql"), INSERT).unwrap();
        Some(postgres)
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() { Command::new("runuser") } else { Command::new(&program) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(program);
        }
        command.current_dir("/");
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        self.command(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Inserts a second of so many clients.
    pub fn rate(&self, dir: &Path, clients: usize) -> Option<f64> {
        let home = self.data.parent()?;
        let out = self
            .command("pgbench")
            .args(["-n", "-h", &home.display().to_string(), "-U", "bench", "-M", "prepared", "-j", "2", "-T", "2", "-f"])
            .arg(dir.join("insert.sql"))
            .args(["-c", &clients.to_string(), "postgres"])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split("tps = ").nth(1)?.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.data.display().to_string(), "-m", "immediate", "stop"]);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
