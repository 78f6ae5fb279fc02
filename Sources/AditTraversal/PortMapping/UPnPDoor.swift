// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What is known of UPnP in the local network: the search, the router's service, and the calls that wait for it.
struct UPnPDoor: Sendable {
    /// An action and what it is for.
    struct Call: Sendable, Equatable {
        enum Purpose: Sendable, Equatable {
            case status
            case externalAddress
            case map(lease: Int)
            /// Whose the port is that was refused.
            case owner(lease: Int)
            /// A mapping of an earlier run goes, before it is made again.
            case clear(lease: Int)
            case remove(lease: Int)
            case check(lease: Int)
        }

        let purpose: Purpose
        let action: UPnPAction
    }

    /// What a request in flight is for.
    enum Work: Sendable, Equatable {
        case description(UPnPLocation)
        case call(Call)
    }

    /// A service, and where its actions are sent.
    struct Service: Sendable, Equatable {
        var kind: UPnPServiceKind
        var location: UPnPLocation
    }

    var socket: SocketID?
    var state = PortMappingDoor.unknown
    var begunAt = Instant.zero
    var searchesLeft = 0
    var nextSearch: Instant?
    var candidates: [UPnPLocation] = []
    var seen: [UPnPLocation] = []
    var services: [Service] = []
    var service: Service?
    var name = ""
    var externalAddress: IPAddress?
    /// This machine's address as the router sees it.
    var local: IPAddress?
    var calls: [Call] = []
    var pending: (id: SocketID, work: Work, deadline: Instant)?
    var onlyPermanent = false
    var hasAddAny = true
    var wasDisconnected = false
    var failures = 0

    /// How many descriptions are looked at.
    static var candidateLimit: Int { 8 }
    /// How many calls wait.
    static var callLimit: Int { 128 }
    /// How long a router may take for one answer.
    static var patience: Duration { .seconds(10) }
    /// How long routers may take to be found.
    static var searchTime: Duration { .milliseconds(4000) }
    /// How long the gateway itself is waited for before another router is believed.
    static var gatewayTime: Duration { .milliseconds(1200) }
    /// What is searched for.
    static var targets: [String] {
        [
            "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
            "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
        ]
    }

    /// Whether something is still going on that may find a router.
    func isSearching(at now: Instant) -> Bool {
        if state != .unknown || socket == nil { return false }
        return pending != nil || !candidates.isEmpty || !services.isEmpty || service != nil
            || now < begunAt + Self.searchTime
    }

    mutating func add(_ call: Call) {
        guard calls.count < Self.callLimit, !calls.contains(call) else { return }
        calls.append(call)
    }
}
