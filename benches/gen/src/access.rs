//! API Gateway access log, fields in the order of the seed document's `access_log_settings`, plus userAgent.
//!
//! The traffic: one week with a day/night wave. 50,000 client addresses (Zipf), each with one to three
//! of 30,000 users; REST paths with ids. About 1 % of rows come from attackers, a handful active in any hour:
//! credential stuffers (POST /v1/login, mostly 401, a new user name each time) and scanners
//! (GET on paths that do not exist, 404, scanner user agents). A few values carry JSON escapes.

use crate::{
    rng::{civil, mix, Rng, Zipf},
    BLOCK,
};
use std::io::Write;

const START: i64 = 1_761_955_200; // 2025-11-01T00:00:00Z
const DAYS: f64 = 7.0;
const IPS: usize = 50_000;
const STUFFERS: u64 = 40;
const SCANNERS: u64 = 60;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const PATHS: [&str; 24] = [
    "/v1/users/#",
    "/v1/users/#/orders",
    "/v1/users/#/profile",
    "/v1/orders/#",
    "/v1/orders/#/items",
    "/v1/products/#",
    "/v1/products/#/reviews",
    "/v1/carts/#",
    "/v1/carts/#/items",
    "/v1/invoices/#",
    "/v1/sessions/#",
    "/v1/search",
    "/v1/health",
    "/v1/login",
    "/v1/logout",
    "/v1/token/refresh",
    "/v1/notifications",
    "/v1/settings",
    "/v2/graphql",
    "/v2/events",
    "/v2/uploads/#",
    "/v2/payments/#",
    "/v2/payments/#/refund",
    "/internal/metrics",
];
const STATUS: [(u32, &str); 14] = [
    (8800, "200"),
    (400, "201"),
    (200, "204"),
    (200, "304"),
    (100, "400"),
    (70, "401"),
    (30, "403"),
    (80, "404"),
    (10, "409"),
    (40, "429"),
    (40, "500"),
    (15, "502"),
    (10, "503"),
    (5, "504"),
];
const METHODS: [(u32, &str); 5] = [(70, "GET"), (20, "POST"), (6, "PUT"), (3, "DELETE"), (1, "OPTIONS")];
const SCAN_AGENTS: [&str; 6] = [
    "sqlmap/1.7.2#stable (https://sqlmap.org)",
    "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:000562)",
    "gobuster/3.6",
    "Mozilla/5.0 (compatible; NIKTO)",
    "Fuzz Faster U Fool v2.1.0-dev",
    "Mozilla/5.0 zgrab/0.x",
];
const SCAN_DIRS: [&str; 16] = [
    "",
    "admin/",
    "wp-admin/",
    "api/",
    "old/",
    "backup/",
    "test/",
    "dev/",
    ".git/",
    "cgi-bin/",
    "phpmyadmin/",
    "v1/",
    "v3/",
    "console/",
    "static/",
    "private/",
];
const SCAN_FILES: [&str; 24] = [
    "config",
    "login.php",
    ".env",
    "id_rsa",
    "index.bak",
    "db.sql",
    "users.json",
    "swagger.json",
    "openapi.yaml",
    "actuator/env",
    "server-status",
    "shell.php",
    "setup.cgi",
    "web.config",
    "credentials",
    "HEAD",
    "dump.tar.gz",
    "secrets.yml",
    "debug",
    "trace",
    "xmlrpc.php",
    "wp-login.php",
    "robots.txt",
    "jmx-console",
];
/// JSON-escaped forms of unusual agents.
const ODD_AGENTS: [&str; 4] =
    ["Mozilla/5.0 (\\\"><script>alert(1)</script>)", "\\u041f\\u0430\\u0443\\u043a/1.0", "curl/8.4.0\\\\n\\tX", "-"];

pub struct World {
    seed: u64,
    rows: u64,
    ips: Vec<String>,
    agents: Vec<String>,
    zip_ip: Zipf,
    zip_agent: Zipf,
    zip_id: Zipf,
}

impl World {
    pub fn new(seed: u64, rows: u64) -> Self {
        let mut r = Rng::new(seed, 1);
        let ips = (0..IPS as u64).map(|i| address(mix(seed ^ i ^ 0xadd7))).collect();
        let agents = (0..300).map(|_| {
            let (major, minor) = (r.below(60) + 70, r.below(9000));
            match r.below(6) {
                0 => format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.{minor}.0 Safari/537.36"),
                1 => format!("Mozilla/5.0 (iPhone; CPU iPhone OS {}_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", major % 5 + 13, minor % 7),
                2 => format!("Mozilla/5.0 (X11; Linux x86_64; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"),
                3 => format!("okhttp/4.{}.{}", major % 12, minor % 10),
                4 => format!("acme-app/{}.{} (Android {}; Pixel)", major % 9, minor % 40, major % 6 + 9),
                _ => format!("python-requests/2.{}.{}", major % 33, minor % 4),
            }
        }).collect();
        World {
            seed,
            rows,
            ips,
            agents,
            zip_ip: Zipf::new(IPS, 1.0),
            zip_agent: Zipf::new(300, 0.9),
            zip_id: Zipf::new(5000, 0.8),
        }
    }

    /// Seconds since START of row i: strictly by time, with a daily wave.
    fn second(&self, i: u64) -> i64 {
        let u = i as f64 / self.rows as f64;
        let w = std::f64::consts::TAU * DAYS;
        ((u + 0.6 / w * (w * u).sin()) * DAYS * 86_400.0) as i64
    }

    pub fn block(&self, b: u64) -> Vec<u8> {
        let mut rng = Rng::new(self.seed, 1000 + b);
        let mut out = Vec::with_capacity(BLOCK as usize * 380);
        for i in b * BLOCK..self.rows.min((b + 1) * BLOCK) {
            self.row(i, &mut rng, &mut out)
        }
        out
    }

    fn row(&self, i: u64, rng: &mut Rng, out: &mut Vec<u8>) {
        let second = self.second(i);
        let mut path = String::new();
        let (ip, user, method, status, agent): (&str, String, &str, &str, &str);
        let attacker_ip;
        let kind = rng.below(1000);
        if kind < 10 {
            // Six attackers are active in any hour.
            let who = mix(self.seed ^ (second as u64 / 3600) * 31 + rng.below(6)) % (STUFFERS + SCANNERS);
            attacker_ip = address(mix(self.seed ^ who ^ 0xa77ac));
            ip = &attacker_ip;
            if who < STUFFERS {
                user = format!("u{}@mail{}.example", rng.below(2_000_000), rng.below(9));
                method = "POST";
                status = rng.weighted(&[(93, "401"), (5, "403"), (1, "429"), (1, "200")]);
                agent = if who % 3 == 0 { "python-requests/2.31.0" } else { &self.agents[(who % 40) as usize] };
                path.push_str("/v1/login");
            } else {
                user = "-".into();
                method = "GET";
                status = rng.weighted(&[(95, "404"), (4, "403"), (1, "200")]);
                agent = SCAN_AGENTS[(who % SCAN_AGENTS.len() as u64) as usize];
                path = format!("/{}{}", rng.pick(&SCAN_DIRS), rng.pick(&SCAN_FILES));
                if rng.below(2) == 0 {
                    path.push_str(&format!("{}", rng.below(400)))
                }
            }
        } else {
            let rank = self.zip_ip.draw(rng);
            ip = &self.ips[rank as usize];
            let own = mix(self.seed ^ rank ^ 0x05e7);
            user = match rng.below(100) {
                0..=9 => "-".into(),
                10..=19 if own % 3 > 0 => format!("user{:05}", (own >> 8) % 30_000),
                20..=24 if own % 3 > 1 => format!("user{:05}", (own >> 24) % 30_000),
                _ => format!("user{:05}", own % 30_000),
            };
            method = rng.weighted(&METHODS);
            status = rng.weighted(&STATUS);
            agent = if rng.below(2000) == 0 {
                ODD_AGENTS[rng.below(4) as usize]
            } else {
                &self.agents[((self.zip_agent.draw(rng) + own) % 300) as usize]
            };
            let template = PATHS[(rng.below(24).min(rng.below(24))) as usize];
            match template.split_once('#') {
                Some((a, z)) => path = format!("{a}{}{z}", 10_000 + self.zip_id.draw(rng) * 7),
                None => path.push_str(template),
            }
        }
        let length = match status {
            "204" | "304" => 0,
            "200" | "201" => (120.0 / (1.0 - rng.unit()).powf(0.9)) as u64 % 10_000_000,
            _ => 20 + rng.below(200),
        };
        let error = match status {
            "401" => "Unauthorized",
            "403" => "User is not authorized to access this resource with an explicit deny",
            "404" => "No such resource",
            "429" => "Too Many Requests",
            "500" => "Internal server error",
            "502" => "Malformed Lambda proxy response",
            "503" => "Service Unavailable",
            "504" => "Endpoint request timed out",
            _ => "-",
        };
        let at = START + second;
        let (y, m, d) = civil(at.div_euclid(86_400));
        let s = at.rem_euclid(86_400);
        out.extend_from_slice(b"{\"requestId\":\"");
        rng.uuid(out);
        writeln!(
            out,
            "\",\"ip\":\"{ip}\",\"caller\":\"-\",\"user\":\"{user}\",\"requestTime\":\"{d:02}/{}/{y}:{:02}:{:02}:{:02} +0000\",\"httpMethod\":\"{method}\",\"resourcePath\":\"{path}\",\"status\":\"{status}\",\"protocol\":\"HTTP/1.1\",\"responseLength\":\"{length}\",\"errorMessage\":\"{error}\",\"userAgent\":\"{agent}\"}}",
            MONTHS[m as usize - 1], s / 3600, s / 60 % 60, s % 60,
        ).unwrap();
    }
}

fn address(bits: u64) -> String {
    format!("{}.{}.{}.{}", bits % 200 + 11, bits >> 8 & 255, bits >> 16 & 255, (bits >> 24) % 254 + 1)
}
