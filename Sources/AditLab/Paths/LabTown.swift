// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditCrypto
package import AditTraversal

/// Many homes around one server: a device in each, which may also go to the mobile network of its own operator.
///
/// ```
///                 203.0.113.10, .11  server
///                            |
///   198.18.x.x/29 ────── internet ────── 198.19.x.x/29
///         |                                    |
///    home router                          mobile carrier's NAT
///         |                                    |
///    192.168.1.2  ·········  device  ········· 10.0.0.2
/// ```
///
/// All homes have the same private network, as homes have.
package final class LabTown {
    /// What a home is made of.
    package struct Home {
        /// The device.
        package let device: LabHost
        /// The router of the home.
        package let router: LabNAT
        /// The NAT of the mobile network.
        package let carrier: LabNAT
        /// The NATs in the language of sites.
        package let kind: SiteSpecification
        /// Whether the device is in the mobile network.
        package fileprivate(set) var isMobile = false
        /// Which address of its network the router has.
        fileprivate var addressNumber: UInt32 = 2
    }

    /// The lab.
    package let lab: Lab
    /// The routers of the internet.
    package let internet: LabRouter
    /// The server.
    package let server: LabHost
    /// The homes, by number.
    package private(set) var homes: [Home] = []
    /// The relay, once it runs.
    private var relay: LabMachine<TURNServer>?
    private var relayCount: UInt64 = 0

    private static let latency = Duration.milliseconds(10)
    private static let homeAddress = InterfaceAddress(.v4(0xC0A8_0102), prefixLength: 24)
    private static let homeRouter = IPAddress.v4(0xC0A8_0101)
    private static let mobileAddress = InterfaceAddress(.v4(0x0A00_0002), prefixLength: 24)
    private static let mobileRouter = IPAddress.v4(0x0A00_0001)
    /// The secret that the server makes credentials with.
    private static let secret = TURNSecret(Array("a secret of the lab only".utf8))

    /// Builds homes whose routers are of the given kinds, in turn, and starts the server's STUN and relay.
    package init(_ kinds: [SiteSpecification], mobile: SiteSpecification, count: Int, in lab: Lab) {
        self.lab = lab
        server = lab.host("S")
        internet = lab.router("internet")
        let line = lab.link(latency: Self.latency / 2, name: "server line")
        server.attach(to: line, "203.0.113.10/24", "203.0.113.11/24")
        internet.attach(to: line, "203.0.113.1/24")
        server.defaultRoute(via: .v4(0xCB00_7101))
        for number in 0..<count { addHome(number, kinds[number % kinds.count], mobile) }
        startRelay()
    }

    private func addHome(_ number: Int, _ kind: SiteSpecification, _ mobile: SiteSpecification) {
        let device = lab.host("device \(number)")
        let router = addBox("router \(number)", kind, network: Self.network(number, isMobile: false))
        let home = lab.link(latency: .microseconds(200), name: "home \(number)")
        router.attach(to: home, InterfaceAddress(Self.homeRouter, prefixLength: 24), side: .inside)
        device.attach(to: home, Self.homeAddress)
        device.defaultRoute(via: Self.homeRouter)
        let carrier = addBox("carrier \(number)", mobile, network: Self.network(number, isMobile: true))
        let cell = lab.link(latency: .milliseconds(15), name: "cell \(number)")
        carrier.attach(to: cell, InterfaceAddress(Self.mobileRouter, prefixLength: 24), side: .inside)
        device.attach(to: cell, [])
        homes.append(Home(device: device, router: router, carrier: carrier, kind: kind))
    }

    private func addBox(_ name: String, _ kind: SiteSpecification, network: UInt32) -> LabNAT {
        let box = lab.nat(name, NATConfiguration(kind.router))
        let line = lab.link(latency: Self.latency / 2, name: "line of \(name)")
        box.attach(to: line, InterfaceAddress(.v4(network + 2), prefixLength: 29), side: .outside)
        internet.attach(to: line, InterfaceAddress(.v4(network + 1), prefixLength: 29))
        box.defaultRoute(via: .v4(network + 1))
        return box
    }

    /// The network of a router's public addresses, /29.
    private static func network(_ number: Int, isMobile: Bool) -> UInt32 {
        (isMobile ? 0xC613_0000 : 0xC612_0000) + UInt32(number) * 8
    }

    /// What a device finds out of the NAT of its home.
    package func report(of number: Int) -> NATReport {
        NATReport([homes[number].kind.router], address: publicAddress(of: number), hasIPv6: false, opensPorts: false)
    }

    // MARK: The server

    /// Starts the relay, or another one in its place that knows nothing of the former one's allocations.
    package func startRelay() {
        relay?.stop()
        relayCount += 1
        relay = server.run(
            TURNServer(
                STUNServer.Sockets(
                    address: LabWorld.serverAddress,
                    alternateAddress: LabWorld.serverAlternateAddress,
                    alternatePort: 3479
                ),
                relay: TURNRelayConfiguration(
                    secrets: [Self.secret],
                    relayAddresses: [LabWorld.serverAddress],
                    software: nil
                ),
                random: lab.generator(for: 7 << 32 | relayCount)
            )
        )
    }

    /// What the server offers a device.
    package func offer(to device: PathPeerID) -> PathServer {
        let endpoints = [
            IPEndpoint(LabWorld.serverAddress, 3478), IPEndpoint(LabWorld.serverAddress, 3479),
            IPEndpoint(LabWorld.serverAlternateAddress, 3478), IPEndpoint(LabWorld.serverAlternateAddress, 3479),
        ]
        let credentials = Self.secret.credentials(device: device.name, expiry: 4_000_000_000)
        return PathServer(
            stun: endpoints,
            stunTCP: endpoints,
            turn: [
                TURNClientConfiguration(
                    server: endpoints[0],
                    transport: .udp,
                    username: credentials.username,
                    password: credentials.password
                )
            ]
        )
    }

    // MARK: What happens in a town

    /// The address from which a device's packets come.
    package func publicAddress(of number: Int) -> IPAddress? {
        let home = homes[number]
        return (home.isMobile ? home.carrier : home.router).externalAddresses.first
    }

    /// Gives a home's router another public address.
    package func renumber(_ number: Int) {
        let next = homes[number].addressNumber % 5 + 2
        homes[number].addressNumber = next
        let address = IPAddress.v4(Self.network(number, isMobile: false) + next)
        homes[number].router.renumber(InterfaceAddress(address, prefixLength: 29))
    }

    /// Takes a device out of its home into the mobile network, or back.
    package func move(_ number: Int) {
        homes[number].isMobile.toggle()
        let device = homes[number].device
        let isMobile = homes[number].isMobile
        device.changeAddresses([], interface: isMobile ? 0 : 1)
        device.changeAddresses(
            [isMobile ? Self.mobileAddress : Self.homeAddress],
            interface: isMobile ? 1 : 0,
            defaultRoute: isMobile ? Self.mobileRouter : Self.homeRouter
        )
    }

    /// Whether an endpoint is a home's, of its router or of its carrier.
    package func isOf(_ number: Int, _ endpoint: IPEndpoint) -> Bool {
        guard case .v4(let address) = endpoint.address else { return false }
        return address & ~7 == Self.network(number, isMobile: false)
            || address & ~7 == Self.network(number, isMobile: true)
    }
}
