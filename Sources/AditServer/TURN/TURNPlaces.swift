// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTraversal
import AditWire

/// Where relays are opened, and as what they are announced.
struct TURNPlaces: Sendable {
    /// An address of this machine, and what clients know it by.
    typealias Place = STUNConfiguration.Address

    /// How many ports are tried for a relay.
    static let attempts = 64

    /// Addresses that were named or found, the preferred one of each family first.
    let known: [Place]
    /// What a private address of this machine is announced as: the server's own name where that is an address.
    let outside: IPAddress?

    /// Takes the addresses of STUN, and others for families of which that has none.
    init(_ addresses: STUNAddresses, or others: [IPAddress], outside: IPAddress?) {
        self.outside = outside
        var known = [addresses.v4, addresses.v6].flatMap { [$0?.primary, $0?.alternate].compactMap { $0 } }
        for own in others.map(\.unmapped) where !known.contains(where: { $0.own.isIPv4 == own.isIPv4 }) {
            known.append(Place(own, announced: Self.announced(own, outside)))
        }
        self.known = known
    }

    /// One address of each family that others can best reach this machine at.
    static func ofMachine() async -> [IPAddress] {
        let own = MachineAddress.lasting().map(\.unmapped).filter { !$0.isLinkLocal && !$0.isUnspecified }
        let order = { (address: IPAddress) in
            address.isLoopback ? 2 : AddressRealm(address) == .public ? 0 : 1
        }
        let sorted = own.sorted {
            (order($0), $0.bytes.count) < (order($1), $1.bytes.count)
        }
        return [await MachineAddress.outward()].compactMap { $0?.unmapped } + sorted
    }

    /// The place for a relay of a family: where the client's message came to, if that has the family.
    func place(for family: STUNAddressFamily, near own: IPAddress?) -> Place? {
        if let own = own?.unmapped, own.isIPv4 == (family == .v4), !own.isUnspecified { return place(of: own) }
        return known.first { $0.own.isIPv4 == (family == .v4) }
    }

    /// The families that a relay can have.
    var families: [STUNAddressFamily] {
        [STUNAddressFamily.v4, .v6].filter { family in known.contains { $0.own.isIPv4 == (family == .v4) } }
    }

    private func place(of own: IPAddress) -> Place {
        if let place = known.first(where: { $0.own == own }) { return place }
        return Place(own, announced: announced(own))
    }

    /// What an address of this machine is announced as when nothing was said about it.
    func announced(_ own: IPAddress) -> IPAddress? { Self.announced(own, outside) }

    private static func announced(_ own: IPAddress, _ outside: IPAddress?) -> IPAddress? {
        guard let outside, outside.isIPv4 == own.isIPv4, !own.isLoopback, AddressRealm(own) != .public else {
            return nil
        }
        return outside
    }

    /// A port for a relay; nil when the range has none of that kind.
    func port(
        in range: ClosedRange<UInt16>,
        _ wish: TURNPort,
        using random: inout any RandomNumberGenerator & Sendable
    ) -> UInt16? {
        let number = UInt16.random(in: range, using: &random)
        switch wish {
        case .any: return number
        case .even: return range.contains(number & ~1) ? number & ~1 : number < range.upperBound ? number + 1 : nil
        case .evenKeepingNext:
            let even = number & ~1
            return even >= range.lowerBound && even < range.upperBound ? even : nil
        }
    }
}

/// The sockets and addresses of this machine that clients of UDP wrote to, with the numbers by which the relay knows them.
struct TURNClientPlaces {
    struct Place {
        let socket: LaneSocket
        let local: IPAddress
    }

    private struct Key: Hashable {
        let socket: ObjectIdentifier
        let local: IPAddress
    }

    /// How many are remembered: a machine has few addresses, except where a whole block of IPv6 leads to it.
    private static let limit = 4096

    private var places: [Place] = []
    private var numbers: [Key: UInt32] = [:]
    private var last: UInt32?

    /// The number of a place; nil when there are too many.
    mutating func number(of socket: LaneSocket, at path: DatagramPath) -> UInt32? {
        guard let local = path.local else { return nil }
        if let last, places[Int(last)].socket === socket, places[Int(last)].local == local { return last }
        let key = Key(socket: ObjectIdentifier(socket), local: local)
        if let number = numbers[key] {
            last = number
            return number
        }
        guard places.count < Self.limit else { return nil }
        let number = UInt32(places.count)
        places.append(Place(socket: socket, local: local))
        numbers[key] = number
        last = number
        return number
    }

    /// The place of a number.
    func place(_ number: UInt32) -> Place? {
        Int(number) < places.count ? places[Int(number)] : nil
    }
}
