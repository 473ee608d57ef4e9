//! Functions on IP addresses and networks. Addresses are read strictly: no port, brackets, zone, spaces or leading
//! zeros.

use super::memo::Memo;
use super::{Args, Eval, Function, Prepared, ROW, Type};
use crate::value::Value;
use arrow::buffer::BooleanBuffer;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "isValidIp",
        params: &[("ip", Type::Text)],
        result: Type::Predicate,
        about: "1 where `ip` is an IPv4 or IPv6 address.",
        examples: &[(r#"isValidIp("2001:db8::1")"#, "1"), (r#"isValidIp("1.2.3.4:443")"#, "0")],
        eval: Eval::Predicate(|args| addresses(args, |_| true)),
        ..ROW
    },
    Function {
        name: "isValidIpV4",
        params: &[("ip", Type::Text)],
        result: Type::Predicate,
        about: "1 where `ip` is an IPv4 address: four decimal parts without leading zeros.",
        examples: &[(r#"isValidIpV4("010.1.2.3")"#, "0"), (r#"isValidIpV4("10.1.2.3")"#, "1")],
        eval: Eval::Predicate(|args| addresses(args, |ip| ip.is_ipv4())),
        ..ROW
    },
    Function {
        name: "isValidIpV6",
        params: &[("ip", Type::Text)],
        result: Type::Predicate,
        about: "1 where `ip` is an IPv6 address.",
        examples: &[(r#"isValidIpV6("::1")"#, "1")],
        eval: Eval::Predicate(|args| addresses(args, |ip| ip.is_ipv6())),
        ..ROW
    },
    Function {
        name: "isIpInSubnet",
        params: &[("ip", Type::Text), ("cidr", Type::Cidr)],
        result: Type::Predicate,
        about: "1 where `ip` lies in the network; an IPv4-mapped IPv6 address counts as IPv4.",
        examples: &[
            (r#"isIpInSubnet("fd00::5", "fd00::/8")"#, "1"),
            (r#"isIpInSubnet("::ffff:10.0.0.1", "10.0.0.0/8")"#, "1"),
        ],
        eval: Eval::Predicate(|args| subnet(args, |net, ip| net.contains(&ip) || net.contains(&ip.to_canonical()))),
        ..ROW
    },
    Function {
        name: "isIpv4InSubnet",
        params: &[("ip", Type::Text), ("cidr", Type::Cidr)],
        result: Type::Predicate,
        about: "1 where `ip` is an IPv4 address in the IPv4 network.",
        examples: &[(r#"isIpv4InSubnet("10.1.2.3", "10.0.0.0/8")"#, "1")],
        eval: Eval::Predicate(|args| subnet(args, |net, ip| ip.is_ipv4() && net.contains(&ip))),
        ..ROW
    },
    Function {
        name: "isIpv6InSubnet",
        params: &[("ip", Type::Text), ("cidr", Type::Cidr)],
        result: Type::Predicate,
        about: "1 where `ip` is an IPv6 address in the IPv6 network.",
        examples: &[(r#"isIpv6InSubnet("10.1.2.3", "2001:db8::/32")"#, "0")],
        eval: Eval::Predicate(|args| subnet(args, |net, ip| ip.is_ipv6() && net.contains(&ip))),
        ..ROW
    },
    Function {
        name: "isPrivateIP",
        params: &[("ip", Type::Text)],
        result: Type::Predicate,
        about: "1 where `ip` is private: 10/8, 172.16/12, 192.168/16, fc00::/7, also as an IPv4-mapped IPv6 address.",
        examples: &[(r#"isPrivateIP("172.32.0.1")"#, "0"), (r#"isPrivateIP("172.31.0.1")"#, "1")],
        eval: Eval::Predicate(|args| addresses(args, |ip| within(&PRIVATE, ip))),
        ..ROW
    },
    Function {
        name: "isReservedIP",
        params: &[("ip", Type::Text)],
        result: Type::Predicate,
        about: "1 where `ip` is neither private nor on the internet: loopback, link-local, shared, test, multicast, future.",
        examples: &[(r#"isReservedIP("203.0.113.9")"#, "1")],
        eval: Eval::Predicate(|args| addresses(args, |ip| within(&RESERVED, ip))),
        ..ROW
    },
    Function {
        name: "isPublicIP",
        params: &[("ip", Type::Text)],
        result: Type::Predicate,
        about: "1 where `ip` is an address that is neither private nor reserved.",
        examples: &[(r#"isPublicIP("8.8.8.8")"#, "1")],
        eval: Eval::Predicate(|args| addresses(args, |ip| !within(&PRIVATE, ip) && !within(&RESERVED, ip))),
        ..ROW
    },
    Function {
        name: "ipv4ToNumber",
        params: &[("ip", Type::Text)],
        result: Type::Number,
        about: "The IPv4 address as a number; null for anything else.",
        examples: &[(r#"ipv4ToNumber("10.0.0.1")"#, "167772161")],
        eval: Eval::Values(|args| {
            args.map(|row| match address(args, row) {
                Some(IpAddr::V4(ip)) => Value::Int(ip.to_bits().into()),
                _ => Value::Null,
            })
        }),
        ..ROW
    },
];

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix))
}

const fn v6(a: u16, b: u16, last: u16, prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, last), prefix))
}

/// RFC 1918, and the unique local addresses of RFC 4193.
const PRIVATE: [IpNet; 4] = [v4(10, 0, 0, 8), v4(172, 16, 0, 12), v4(192, 168, 0, 16), v6(0xfc00, 0, 0, 7)];

/// From the IANA special-purpose registries (language reference, "IP addresses").
const RESERVED: [IpNet; 17] = [
    v4(0, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
    v6(0, 0, 0, 128),
    v6(0, 0, 1, 128),
    v6(0xfe80, 0, 0, 10),
    v6(0xff00, 0, 0, 8),
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x100, 0, 0, 64),
];

/// True if the address, an IPv4-mapped one as its IPv4 address, lies in one of the networks.
fn within(nets: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    nets.iter().any(|net| net.contains(&ip))
}

fn parse(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a network such as `10.0.0.0/8`, host bits and all; `None` without a prefix length.
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    let (ip, prefix) = text.split_once('/')?;
    let plain = prefix.bytes().all(|c| c.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    IpNet::new(ip.parse().ok()?, prefix.parse().ok().filter(|_| plain)?).ok()
}

fn address(args: &Args<'_>, row: usize) -> Option<IpAddr> {
    parse(&args.bytes(0, row)?)
}

fn addresses(args: &Args<'_>, test: fn(IpAddr) -> bool) -> BooleanBuffer {
    args.test(|row| address(args, row).is_some_and(test))
}

fn subnet(args: &Args<'_>, test: fn(&IpNet, IpAddr) -> bool) -> BooleanBuffer {
    if let Some(Prepared::Cidr(net)) = args.prepared(1) {
        return args.test(|row| address(args, row).is_some_and(|ip| test(net, ip)));
    }
    let mut nets = Memo::new();
    args.test(|row| {
        let Some(text) = args.text(1, row) else { return false };
        // A network's `contains` does not look at its host bits.
        let net = nets.get(text.as_bytes(), |_| parse_cidr(&text));
        net.as_ref().zip(address(args, row)).is_some_and(|(net, ip)| test(net, ip))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::func::tests::check;

    #[test]
    fn validity() {
        for (ip, v4, v6) in [
            ("10.0.0.1", "1", "0"),
            ("255.255.255.255", "1", "0"),
            ("256.1.1.1", "0", "0"),
            ("1.2.3", "0", "0"),
            ("1.2.3.4.5", "0", "0"),
            ("0x7f.0.0.1", "0", "0"),
            ("2130706433", "0", "0"),
            (" 1.2.3.4", "0", "0"),
            ("2001:0DB8::1", "0", "1"),
            ("::ffff:1.2.3.4", "0", "1"),
            ("::ffff:01.2.3.4", "0", "0"),
            ("2001:::1", "0", "0"),
            ("fe80::1%eth0", "0", "0"),
            ("[::1]", "0", "0"),
            ("::1/128", "0", "0"),
            ("", "0", "0"),
            ("-", "0", "0"),
        ] {
            check(&[
                (&format!("isValidIpV4(\"{ip}\")"), v4),
                (&format!("isValidIpV6(\"{ip}\")"), v6),
                (&format!("isValidIp(\"{ip}\")"), if v4 == v6 { "0" } else { "1" }),
            ]);
        }
        check(&[
            ("isValidIp(missing)", "0"),
            ("isValidIp(l)", "0"),
            ("isValidIp(1.5)", "0"),
            ("isValidIp(latin)", "0"),
        ]);
    }

    #[test]
    fn subnets() {
        check(&[
            (r#"isIpInSubnet("10.0.0.127", "10.0.0.77/26")"#, "1"),
            (r#"isIpInSubnet("10.0.0.128", "10.0.0.77/26")"#, "0"),
            (r#"isIpInSubnet("8.8.8.8", "0.0.0.0/0")"#, "1"),
            (r#"isIpInSubnet("::1", "0.0.0.0/0")"#, "0"),
            (r#"isIpInSubnet("1.2.3.4", "::/0")"#, "0"),
            (r#"isIpInSubnet("::ffff:1.2.3.4", "::ffff:0:0/96")"#, "1"),
            (r#"isIpv4InSubnet("::ffff:10.0.0.1", "10.0.0.0/8")"#, "0"),
            (r#"isIpv4InSubnet("10.0.0.1", "::/0")"#, "0"),
            (r#"isIpv6InSubnet("::ffff:10.0.0.1", "::ffff:0:0/96")"#, "1"),
            (r#"isIpv6InSubnet("2001:db8::1", "2001:DB8::/32")"#, "1"),
            (r#"isIpInSubnet(missing, "10.0.0.0/8")"#, "0"),
            (r#"isIpInSubnet("10.0.0.1", missing)"#, "0"),
            (r#"isIpInSubnet("10.0.0.1", concat("10.0.0.0/", 33))"#, "0"),
            (r#"isIpInSubnet("10.0.0.1", concat("10.0.0.0", ""))"#, "0"),
            (r#"isIpInSubnet("10.0.0.1", concat("10.0.0.9", "/8"))"#, "1"),
        ]);
    }

    #[test]
    fn cidr_texts() {
        for bad in
            ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/08", "010.0.0.0/8", "::/129", "x/8", "/8"]
        {
            assert_eq!(parse_cidr(bad), None, "{bad}");
        }
        let with_host_bits = parse_cidr("10.0.0.9/8").expect("a network");
        assert_ne!(with_host_bits, with_host_bits.trunc());
    }

    #[test]
    fn special_addresses() {
        for (ip, private, reserved) in [
            ("10.255.255.255", "1", "0"),
            ("172.16.0.0", "1", "0"),
            ("172.31.255.255", "1", "0"),
            ("192.168.1.1", "1", "0"),
            ("fdff::1", "1", "0"),
            ("::ffff:10.0.0.1", "1", "0"),
            ("0.0.0.0", "0", "1"),
            ("100.127.255.255", "0", "1"),
            ("100.128.0.0", "0", "0"),
            ("127.0.0.1", "0", "1"),
            ("169.254.169.254", "0", "1"),
            ("198.19.255.255", "0", "1"),
            ("255.255.255.255", "0", "1"),
            ("::", "0", "1"),
            ("::1", "0", "1"),
            ("::2", "0", "0"),
            ("febf::1", "0", "1"),
            ("ff02::1", "0", "1"),
            ("2001:db8:ffff::", "0", "1"),
            ("100::1", "0", "1"),
            ("100:0:0:1::", "0", "0"),
            ("::ffff:127.0.0.1", "0", "1"),
            ("::ffff:8.8.8.8", "0", "0"),
            ("2606:4700::1111", "0", "0"),
        ] {
            check(&[
                (&format!("isPrivateIP(\"{ip}\")"), private),
                (&format!("isReservedIP(\"{ip}\")"), reserved),
                (&format!("isPublicIP(\"{ip}\")"), if private == reserved { "1" } else { "0" }),
            ]);
        }
        check(&[("isPublicIP(\"x\")", "0"), ("isPublicIP(missing)", "0"), ("isReservedIP(missing)", "0")]);
        check(&[
            ("ipv4ToNumber(\"255.255.255.255\")", "4294967295"),
            ("ipv4ToNumber(\"::1\")", ""),
            ("ipv4ToNumber(missing)", ""),
        ]);
    }
}
