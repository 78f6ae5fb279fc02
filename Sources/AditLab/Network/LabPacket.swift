// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// The protocols of the simulated internet, with their IP numbers.
package enum LabProtocol: UInt8, Sendable, Hashable {
    case icmp = 1
    case tcp = 6
    case udp = 17
}

/// An IP packet on its way.
package struct LabPacket: Sendable, Equatable {
    /// What an IP packet carries.
    package enum Content: Sendable, Equatable {
        /// A datagram's bytes.
        case udp([UInt8])
        /// A TCP segment.
        case tcp(LabSegment)
        /// An ICMP error.
        indirect case icmp(LabICMPError)
    }

    /// Its number in the run; a NAT changes addresses but not this, so that a packet can be followed.
    package var number: UInt32 = 0
    /// From where; the port is 0 for ICMP.
    package var source: IPEndpoint
    /// To where; the port is 0 for ICMP.
    package var destination: IPEndpoint
    /// How many routers it may still pass.
    package var timeToLive: UInt8 = 64
    /// Whether a router may cut it into fragments (IPv4 without DF).
    package var mayFragment = false
    /// The largest fragment that it was cut into, in bytes with the IP header; 0 while it is whole.
    ///
    /// The fragments of a packet travel together: a link loses them one by one, but carries what is left as one event.
    package var fragmentSize: UInt16 = 0
    /// What it carries.
    package var content: Content

    /// Makes it from its parts.
    package init(from source: IPEndpoint, to destination: IPEndpoint, _ content: Content) {
        self.source = source
        self.destination = destination
        self.content = content
    }

    /// The protocol.
    package var `protocol`: LabProtocol {
        switch content {
        case .udp: .udp
        case .tcp: .tcp
        case .icmp: .icmp
        }
    }

    /// The bytes above IP.
    package var contentLength: Int {
        switch content {
        case .udp(let bytes): 8 + bytes.count
        case .tcp(let segment): 20 + segment.payload.count + (segment.maximumSize == nil ? 0 : 4)
        case .icmp(let error): error.isIPv6 ? 56 : 36
        }
    }

    /// The IP header's bytes.
    package var headerLength: Int { source.address.isIPv6 ? 40 : 20 }

    /// The whole packet's bytes, before it is cut.
    package var length: Int { headerLength + contentLength }

    /// How many fragments it travels in.
    package var fragmentCount: Int {
        guard fragmentSize > 0, length > Int(fragmentSize) else { return 1 }
        let room = max(8, (Int(fragmentSize) - headerLength) & ~7)
        return (contentLength + room - 1) / room
    }
}

/// A TCP segment (RFC 9293 section 3.1).
package struct LabSegment: Sendable, Equatable {
    /// The control bits.
    package struct Flags: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The sender has sent everything.
        package static let fin = Flags(rawValue: 1)
        /// The sequence number is the first one.
        package static let syn = Flags(rawValue: 2)
        /// The connection is over, or there is none.
        package static let rst = Flags(rawValue: 4)
        /// Nothing more waits behind these bytes.
        package static let psh = Flags(rawValue: 8)
        /// The acknowledgment number counts.
        package static let ack = Flags(rawValue: 16)
    }

    /// The number of the first byte, or of the SYN.
    package var sequence: UInt32
    /// The number of the byte that is expected next; 0 without ACK.
    package var acknowledgment: UInt32 = 0
    /// The control bits.
    package var flags: Flags
    /// How many bytes the sender takes.
    package var window: UInt16 = 65_535
    /// The maximum segment size option, which only a SYN carries.
    package var maximumSize: UInt16?
    /// The data.
    package var payload: [UInt8] = []

    /// The sequence numbers that it uses: its data, and one each for SYN and FIN.
    package var sequenceLength: UInt32 {
        UInt32(payload.count) &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
    }

    /// Makes it from its parts.
    package init(
        sequence: UInt32,
        acknowledgment: UInt32 = 0,
        flags: Flags,
        maximumSize: UInt16? = nil,
        payload: [UInt8] = []
    ) {
        self.sequence = sequence
        self.acknowledgment = acknowledgment
        self.flags = flags
        self.maximumSize = maximumSize
        self.payload = payload
    }
}

/// An ICMP error and what it quotes of the packet that it is about (RFC 792, RFC 4443).
package struct LabICMPError: Sendable, Equatable {
    /// What the error says.
    package var kind: SocketRefusal.Kind
    /// The protocol of the packet that it is about.
    package var `protocol`: LabProtocol
    /// That packet's source, as the sender of the error saw it.
    package var source: IPEndpoint
    /// That packet's destination, as the sender of the error saw it.
    package var destination: IPEndpoint
    /// That segment's sequence number; 0 for UDP.
    package var sequence: UInt32 = 0

    /// Whether it is about IPv6.
    package var isIPv6: Bool { source.address.isIPv6 }

    /// The error about `packet`; nil about an ICMP error, which is never answered with another.
    package init?(_ kind: SocketRefusal.Kind, about packet: LabPacket) {
        switch packet.content {
        case .icmp: return nil
        case .udp: self.protocol = .udp
        case .tcp(let segment):
            self.protocol = .tcp
            sequence = segment.sequence
        }
        self.kind = kind
        source = packet.source
        destination = packet.destination
    }
}

extension IPAddress {
    /// Whether it is an IPv6 address.
    var isIPv6: Bool {
        if case .v6 = self { return true }
        return false
    }

    /// Whether packets to it go to everybody who listens (RFC 5771, RFC 4291 section 2.7).
    var isMulticast: Bool {
        switch self {
        case .v4(let number): number >> 28 == 14
        case .v6(let high, _): high >> 56 == 0xFF
        }
    }
}
