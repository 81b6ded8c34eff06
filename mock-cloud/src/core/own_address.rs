//! The address of this machine in its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Returns an address that clients can use. A listener on all addresses is shown with the address of this machine in its network.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let (any, example) = match address.ip() {
        IpAddr::V4(_) => ("0.0.0.0:0", "192.0.2.1:9"),
        IpAddr::V6(_) => ("[::]:0", "[2001:db8::1]:9"),
    };
    // Connecting a UDP socket sends nothing; it selects the address by the routes of this machine.
    let own = std::net::UdpSocket::bind(any).and_then(|socket| {
        socket.connect(example)?;
        socket.local_addr()
    });
    let loopback: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(own.map_or(loopback, |own| own.ip()), address.port())
}
