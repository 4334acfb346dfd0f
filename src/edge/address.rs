//! Addresses of clients: what counts as one client for limits, which networks are trusted proxies, and who the client behind one is.
//!
//! Pure. An address that a proxy names is believed only when the proxy is trusted, and then only its right-most untrusted hop.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Hops of `X-Forwarded-For` that are looked at, from the right.
const FORWARDED_HOPS_MAX: usize = 16;

/// What counts as one client: an IPv4 address, or an IPv6 /64, which one customer has to himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AddressKey(IpAddr);

impl AddressKey {
    pub(super) fn of(address: IpAddr) -> Self {
        AddressKey(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// A network, as `10.0.0.0/8`, `fd00::/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Is the address in it? An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(network).checked_shr(shift).unwrap_or(0) == u32::from(address).checked_shr(shift).unwrap_or(0)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(network).checked_shr(shift).unwrap_or(0) == u128::from(address).checked_shr(shift).unwrap_or(0)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a network; write it as \"10.0.0.0/8\", \"fd00::/8\" or \"192.0.2.7\"");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        Ok(Network { address, prefix })
    }
}

/// The client behind trusted proxies: the right-most address of `X-Forwarded-For` (all its lines, in order) that is not itself a
/// trusted proxy. `None` when a hop on the way is not an address: then the proxy itself is the client.
pub(super) fn forwarded_client<'a>(lines: impl DoubleEndedIterator<Item = &'a str>, trusted: &[Network]) -> Option<IpAddr> {
    let mut last = None;
    for hop in lines.rev().flat_map(|line| line.rsplit(',')).take(FORWARDED_HOPS_MAX) {
        let hop = hop.trim();
        let address = hop
            .parse::<IpAddr>()
            .or_else(|_| hop.parse::<std::net::SocketAddr>().map(|socket| socket.ip()))
            .or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>())
            .ok()?
            .to_canonical();
        if !trusted.iter().any(|network| network.contains(address)) {
            return Some(address);
        }
        last = Some(address);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "10.0.0.1", false),
            ("::1", "::1", true),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().contains(ip(address)), inside, "{address} in {network}");
        }
    }

    #[test]
    fn a_wrong_network_is_refused_with_examples() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/", "10.0.0.0/+8", "host", "1.2.3.4/8/8"] {
            assert!(text.parse::<Network>().unwrap_err().contains("10.0.0.0/8"), "{text}");
        }
    }

    #[test]
    fn the_client_is_the_right_most_untrusted_hop() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        for (lines, client) in [
            (vec!["203.0.113.9"], Some("203.0.113.9")),
            (vec!["6.6.6.6, 203.0.113.9, 10.1.1.1"], Some("203.0.113.9")),
            (vec!["6.6.6.6", "203.0.113.9, 10.1.1.1"], Some("203.0.113.9")),
            (vec!["10.0.0.2, 10.0.0.1"], Some("10.0.0.2")),
            (vec!["203.0.113.9:4711"], Some("203.0.113.9")),
            (vec!["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (vec!["203.0.113.9, nonsense"], None),
            (vec![], None),
        ] {
            assert_eq!(forwarded_client(lines.iter().copied(), &trusted), client.map(ip), "{lines:?}");
        }
    }

    #[test]
    fn one_customer_of_ipv6_is_one_client() {
        assert_eq!(AddressKey::of(ip("2001:db8:1:2::1")), AddressKey::of(ip("2001:db8:1:2:ffff::9")));
        assert_ne!(AddressKey::of(ip("2001:db8:1:2::1")), AddressKey::of(ip("2001:db8:1:3::1")));
        assert_eq!(AddressKey::of(ip("::ffff:192.0.2.1")), AddressKey::of(ip("192.0.2.1")));
    }
}
