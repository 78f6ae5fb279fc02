// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import AditWire

/// A STUN server that does what it should not.
struct CrookedServer: SocketMachine {
    typealias Event = Never

    enum Vice: Sendable, Hashable {
        /// Says that it saw this endpoint.
        case claims(IPEndpoint)
        /// Says the right address and a port of its own making, another each time.
        case inventsPorts
        /// Answers with the id of nobody's request.
        case wrongTransaction
        /// Answers every request with this error.
        case refuses(Int)
        /// Answers with bytes that are no STUN.
        case garbage
        /// Answers many times, and with much else in between.
        case floods
        /// Answers from another port than the one that was asked.
        case wrongSource
        /// Leads to an address as its other one.
        case leads(to: IPEndpoint)
        /// Says to have another address and port, which answer requests but never CHANGE-REQUEST.
        case cannotChange
        /// Says nothing about the sender.
        case silentAboutSender
        /// Knows nothing but RFC 8489: a correct server, for once.
        case plain
    }

    var vice: Vice
    var address: IPAddress
    var alternate: IPAddress?
    private var outputs: [SocketOutput<Never>] = []
    private var count: UInt16 = 0
    private var connections: [SocketID: (remote: IPEndpoint, local: SocketID)] = [:]

    init(_ vice: Vice, at address: IPAddress, alternate: IPAddress? = nil) {
        self.vice = vice
        self.address = address
        self.alternate = alternate
        var number: UInt32 = 0
        for own in [address, alternate].compactMap({ $0 }) {
            for port in [UInt16(3478), 3479] {
                outputs.append(.open(SocketID(number), .udp(local: IPEndpoint(own, port))))
                number += 1
            }
        }
        outputs.append(.open(SocketID(100), .listener(local: IPEndpoint(address, 3478))))
    }

    var nextDeadline: Instant? { nil }

    mutating func nextOutput() -> SocketOutput<Never>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .received(let id, let bytes, let source):
            guard let request = try? STUNMessage.decode(bytes.span.bytes), request.kind == .request else { return }
            for answer in answers(to: request, from: source) {
                let isElsewhere = vice == .wrongSource
                outputs.append(.send(isElsewhere ? SocketID(id.number ^ 1) : id, answer, to: source, timeToLive: nil))
            }
        case .accepted(let id, _, _, let remote): connections[id] = (remote, id)
        case .bytes(let id, let bytes):
            guard let remote = connections[id]?.remote, let request = try? STUNMessage.decode(bytes.span.bytes) else {
                return
            }
            for answer in answers(to: request, from: remote) { outputs.append(.write(id, answer)) }
        default: break
        }
    }

    private mutating func answers(to request: STUNMessage, from source: IPEndpoint) -> [[UInt8]] {
        var message = STUNMessage(.success, transactionID: request.transactionID)
        message.attributes = [.xorMappedAddress(source)]
        var copies = 1
        switch vice {
        case .claims(let endpoint): message.attributes = [.xorMappedAddress(endpoint)]
        case .inventsPorts:
            count &+= 1
            message.attributes = [.xorMappedAddress(IPEndpoint(source.address, 20_000 + count &* 7919 % 30_000))]
        case .wrongTransaction:
            message = STUNMessage(
                .success,
                transactionID: STUNTransactionID(high: 1, low: 2),
                attributes: message.attributes
            )
        case .refuses(let number):
            message.attributes = [.errorCode(number, reason: "no")]
            message.kind = .error
        case .garbage: return [[0x80, 1, 2, 3, 4], [], Array(repeating: 0, count: 1400)]
        case .floods: copies = 40
        case .wrongSource: break
        case .leads(let endpoint): message.attributes.append(.otherAddress(endpoint))
        case .cannotChange:
            if let alternate { message.attributes.append(.otherAddress(IPEndpoint(alternate, 3479))) }
            if request.attributes.contains(where: { $0.type == STUNAttributeType.changeRequest }) { return [] }
        case .plain:
            if !request.unknownRequiredTypes.isEmpty || request.attributes.contains(where: { $0.isOfRFC5780 }) {
                message.kind = .error
                message.attributes = [.errorCode(420, reason: "unknown")]
            }
        case .silentAboutSender: message.attributes = [.software("\u{1B}[2Jmute")]
        }
        var bytes: [UInt8] = []
        message.encode(into: &bytes)
        var all = Array(repeating: bytes, count: copies)
        if vice == .floods {
            for index in 0..<40 { all.insert(Array(repeating: UInt8(index), count: 30 * index), at: index) }
        }
        return all
    }
}

extension STUNAttribute {
    fileprivate var isOfRFC5780: Bool {
        switch self {
        case .changeRequest, .responsePort, .padding: true
        default: false
        }
    }
}
