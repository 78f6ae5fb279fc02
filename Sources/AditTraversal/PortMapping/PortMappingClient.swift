// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditWire

/// Asks the router for ports, keeps them, and gives them back.
///
/// PCP, NAT-PMP and UPnP are tried at the same time, and the best that answers is used; what one refuses is asked of the
/// next. A port is renewed at half its life, asked for again when the router forgets it, and tried from outside through a
/// STUN server before it is told. Answers count only from the default router, or, for UPnP, from where its description is.
package struct PortMappingClient: SocketMachine {
    package typealias Event = PortMappingEvent

    /// What is wanted, and of whom.
    package struct Configuration: Sendable {
        /// The interfaces and routers of this machine.
        package var network: LocalNetwork
        /// The ports that are wanted, at most 32.
        package var wishes: [PortMappingWish]
        /// The protocols that are tried.
        package var protocols: Set<PortMappingProtocol>
        /// The servers that try a port from outside; the first of a family is used.
        package var stunServers: [IPEndpoint]
        /// What the router's own page calls the mappings.
        package var label: String
        /// Whether a port in the firewall of IPv6 is asked for too (PCP).
        package var includesIPv6: Bool
        /// How often the router is asked whether it still is the same.
        package var checkInterval: Duration

        /// Makes it from its parts; traps with more than 32 wishes.
        package init(
            network: LocalNetwork,
            wishes: [PortMappingWish],
            protocols: Set<PortMappingProtocol> = Set(PortMappingProtocol.allCases),
            stunServers: [IPEndpoint] = [],
            label: String = "adit",
            includesIPv6: Bool = false,
            checkInterval: Duration = .seconds(60)
        ) {
            precondition(wishes.count <= 32, "at most 32 ports")
            self.network = network
            self.wishes = wishes
            self.protocols = protocols
            self.stunServers = stunServers
            self.label = label
            self.includesIPv6 = includesIPv6
            self.checkInterval = checkInterval
        }
    }

    /// What it was made with; the network is the current one.
    package internal(set) var configuration: Configuration

    var random: any RandomNumberGenerator & Sendable
    var outputs: [SocketOutput<Event>] = []
    var taken = 0
    var nextSocket: UInt32 = 1
    var leases: [PortMappingLease] = []
    var controls: [PortControl] = []
    var upnp = UPnPDoor()
    var probe: PortMappingProbe?
    var probeAt = Instant.zero
    var clock = Instant.zero
    var begunAt: Instant?
    var retryAt: Instant?
    var backoff = Duration.seconds(30)
    var checkAt: Instant?
    var withdrawUntil: Instant?
    var isEnded = false
    var hasToldSilence = false
    var told: Set<PortMappingDoubleNAT> = []
    var found: Set<PortMappingRouter> = []

    /// How long PCP and NAT-PMP are preferred while they have not answered.
    static var preference: Duration { .milliseconds(600) }
    /// How long the routers' answers to removals are waited for.
    static var farewell: Duration { .seconds(3) }

    /// Makes a client; it begins with the first `.timer`.
    package init(configuration: Configuration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        makeLeases()
    }

    // MARK: The machine

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard !isEnded else { return }
        switch input {
        case .opened(let id, let local): opened(id, local, now)
        case .received(let id, let bytes, let sender): received(id, bytes, from: sender, now)
        case .refused(let id, let refusal): refused(id, refusal)
        case .response(let id, let response): answered(id, response, now)
        case .closed(let id, let end): closed(id, end, now)
        case .networkChanged(let network): changed(network, now)
        case .connected(let id, _, _): probeConnected(id, now)
        case .accepted(let id, let listener, _, let remote): probeAccepted(id, by: listener, remote)
        case .bytes(let id, let bytes): probeBytes(id, bytes, now)
        case .receivedBatch, .timer: break
        }
        advance(now)
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        guard taken < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            taken = 0
            return nil
        }
        defer { taken += 1 }
        return outputs[taken]
    }

    package var nextDeadline: Instant? {
        guard !isEnded else { return nil }
        guard let begunAt else { return withdrawUntil ?? .zero }
        var deadlines = controls.compactMap { $0.isOpen ? $0.nextDeadline : nil }
        deadlines += [upnpDeadline, withdrawUntil].compactMap { $0 }
        if withdrawUntil == nil {
            deadlines += [retryAt, checkAt, probe?.nextAt].compactMap { $0 }
            if probe == nil, untried != nil { deadlines.append(probeAt) }
            deadlines += leases.flatMap { [$0.renewAt, $0.grant?.expiresAt].compactMap { $0 } }
            // What is past was looked at when it came.
            if begunAt + Self.preference > clock, leases.contains(where: { $0.state == .waiting }) {
                deadlines.append(begunAt + Self.preference)
            }
        }
        return deadlines.min()
    }

    /// Gives every port back; `withdrawn` is the last event.
    package mutating func withdraw(at now: Instant) {
        guard !isEnded, withdrawUntil == nil else { return }
        withdrawUntil = now + Self.farewell
        endProbe()
        upnp.calls = []
        for index in controls.indices { controls[index].exchanges = [] }
        for index in leases.indices { askRemoval(index, now) }
        advance(now)
    }

    // MARK: Steps

    mutating func emit(_ output: SocketOutput<Event>) { outputs.append(output) }

    mutating func newSocket() -> SocketID {
        defer { nextSocket += 1 }
        return SocketID(nextSocket)
    }

    mutating func makeLeases() {
        leases = []
        let families = configuration.includesIPv6 ? [false, true] : [false]
        for isIPv6 in families {
            for wish in configuration.wishes {
                leases.append(PortMappingLease(wish, isIPv6: isIPv6, nonce: PCPNonce(using: &random)))
            }
        }
    }

    /// Does what is due, until nothing that was done makes something else due.
    private mutating func advance(_ now: Instant) {
        clock = now
        if begunAt == nil, withdrawUntil == nil { begin(now) }
        for _ in 0..<3 {
            sendDue(now)
            stepUPnP(now)
            if withdrawUntil == nil {
                renewAndExpire(now)
                check(now)
                askDoors(now)
                stepProbe(now)
                retry(now)
            }
        }
        finishWithdrawal(now)
    }

    private mutating func begin(_ now: Instant) {
        begunAt = now
        let network = configuration.network
        if let router = network.gateway {
            openControl(router, from: network.address ?? .v4(0), isIPv6: false)
            if configuration.protocols.contains(.upnp) {
                let id = newSocket()
                upnp.socket = id
                upnp.begunAt = now
                emit(.open(id, .udp(local: IPEndpoint(network.address ?? .v4(0), 0))))
            } else {
                upnp.state = .absent
            }
        } else {
            upnp.state = .absent
        }
        if configuration.includesIPv6, let router = network.gatewayV6 {
            openControl(router, from: network.addressV6 ?? .v6(high: 0, low: 0), isIPv6: true)
        }
        checkAt = now + configuration.checkInterval
        guard network.gateway == nil, controls.isEmpty else { return }
        emit(.event(.unavailable(.noRouter)))
        for index in leases.indices { leases[index].state = .failed }
    }

    private mutating func openControl(_ router: IPAddress, from local: IPAddress, isIPv6: Bool) {
        let id = newSocket()
        var control = PortControl(
            socket: id,
            router: IPEndpoint(router, NATPMPRequest.serverPort),
            isIPv6: isIPv6,
            local: local
        )
        if !configuration.protocols.contains(.pcp) { control.pcp = .absent }
        if isIPv6 || !configuration.protocols.contains(.natPMP) { control.natPMP = .absent }
        guard control.pcp != .absent || control.natPMP != .absent else { return }
        controls.append(control)
        emit(.open(id, .udp(local: IPEndpoint(local, 0))))
    }

    private mutating func opened(_ id: SocketID, _ local: IPEndpoint, _ now: Instant) {
        if let index = controls.firstIndex(where: { $0.socket == id }) {
            controls[index].isOpen = true
            if !local.address.isUnspecified { controls[index].local = local.address }
            knock(index, now)
        } else if id == upnp.socket {
            beginSearch(now)
        } else {
            probeOpened(id, now)
        }
    }

    private mutating func received(_ id: SocketID, _ bytes: [UInt8], from sender: IPEndpoint, _ now: Instant) {
        if let index = controls.firstIndex(where: { $0.socket == id }) {
            receivedControl(index, bytes, from: sender, now)
        } else if id == upnp.socket {
            receivedSearchAnswer(bytes, from: sender)
        } else {
            probeReceived(id, bytes, from: sender, now)
        }
    }

    private mutating func refused(_ id: SocketID, _ refusal: SocketRefusal) {
        guard refusal.kind == .portUnreachable, let index = controls.firstIndex(where: { $0.socket == id }),
            refusal.destination == controls[index].router
        else { return }
        // Nobody listens there; one that answered before may be starting anew.
        if controls[index].pcp == .unknown { controls[index].pcp = .absent }
        if controls[index].natPMP == .unknown { controls[index].natPMP = .absent }
        controls[index].exchanges.removeAll { $0.purpose == .announce || $0.purpose == .externalAddress }
    }

    private mutating func closed(_ id: SocketID, _ end: SocketEnd, _ now: Instant) {
        if let index = controls.firstIndex(where: { $0.socket == id }) {
            controls.remove(at: index)
        } else if id == upnp.socket {
            upnp.socket = nil
            upnp.state = .absent
        } else if id == upnp.pending?.id {
            callFailed(now)
        } else {
            probeClosed(id, now)
        }
    }

    /// Everything begins anew where the addresses differ: another network's router knows nothing of these ports.
    private mutating func changed(_ network: LocalNetwork, _ now: Instant) {
        let old = configuration.network
        configuration.network = network
        guard withdrawUntil == nil, begunAt != nil else { return }
        let isSame = old.gateway == network.gateway && old.address == network.address
        let isSameV6 = old.gatewayV6 == network.gatewayV6 && old.addressV6 == network.addressV6
        guard !isSame || (configuration.includesIPv6 && !isSameV6) else { return }
        for index in leases.indices { lose(index, .networkChanged) }
        restart()
        retryAt = nil
        checkAt = nil
        hasToldSilence = false
        told = []
        found = []
        backoff = .seconds(30)
    }

    /// Begins with new sockets at the next step.
    mutating func restart() {
        closeAll()
        controls = []
        upnp = UPnPDoor()
        begunAt = nil
    }

    mutating func closeAll() {
        endProbe()
        for control in controls { emit(.close(control.socket, isAbrupt: false)) }
        if let socket = upnp.socket { emit(.close(socket, isAbrupt: false)) }
        if let pending = upnp.pending { emit(.close(pending.id, isAbrupt: true)) }
    }
}
