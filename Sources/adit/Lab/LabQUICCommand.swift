// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import ArgumentParser
import NIOCore
import NIOPosix

/// `adit lab quic`
struct LabQUICCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quic",
        abstract: "One end of the QUIC between devices on loopback, for trying it against another implementation.",
        discussion: """
            Both ends show an Ed25519 key in a certificate of their own; the ALPN is adit/1. It writes objects of JSON, one on
            a line: first {"key":…,"port":…}, then what happens, and {"ended":…} with the CPU time. Without --sink it sends
            back what comes on streams that the peer opens, and datagrams. With --send it opens streams, sends byte number i
            as i modulo 251, and counts what comes back.
            """
    )

    @Option(help: ArgumentHelp("The peer's public key, 64 hexadecimal digits.", valueName: "hex"))
    var peer: String

    @Option(help: ArgumentHelp("Connect there; without it, wait for one connection.", valueName: "ip:port"))
    var connect: String?

    @Option(help: ArgumentHelp("This end's address, of loopback or of a private network. (127.0.0.1)", valueName: "ip"))
    var address: String?

    @Option(help: ArgumentHelp("This end's private key, 64 hexadecimal digits; random without it.", valueName: "hex"))
    var seed: String?

    @Option(help: ArgumentHelp("How many bytes to send on each stream.", valueName: "bytes"))
    var send: Int?

    @Option(help: "How many streams to send them on.")
    var streams = 1

    @Option(help: ArgumentHelp("How large packets are, 1200 to 4096. (1200)", valueName: "bytes"))
    var packetSize: Int?

    @Option(help: ArgumentHelp("A datagram to send on the first stream.", valueName: "text"))
    var datagram: String?

    @Flag(help: "Read what comes and send nothing back.")
    var sink = false

    @Flag(help: "Leave the streams open, until Ctrl-C.")
    var hold = false

    func validate() throws {
        guard Hexadecimal.decode(peer)?.count == DevicePublicKey.byteCount else {
            throw ValidationError("--peer is 64 hexadecimal digits")
        }
        if connect != nil, remote?.address.isNear != true {
            throw ValidationError("--connect is an address of loopback or of a private network, with a port")
        }
        if address != nil, local?.isNear != true {
            throw ValidationError("--address is an address of loopback or of a private network")
        }
        if let seed, Hexadecimal.decode(seed)?.count != DeviceKey.seedByteCount {
            throw ValidationError("--seed is 64 hexadecimal digits")
        }
        guard (1...100_000).contains(streams) else { throw ValidationError("--streams is 1 to 100000") }
        let sizes = QUICLimits().packetSize
        if let packetSize, !(sizes.first...sizes.most).contains(packetSize) {
            throw ValidationError("--packet-size is \(sizes.first) to \(sizes.most)")
        }
        if let send, send < 0 { throw ValidationError("--send is not below 0") }
    }

    private var remote: IPEndpoint? {
        guard let place = connect.flatMap({ HostPort($0) }), let address = IPAddress(place.host) else { return nil }
        return IPEndpoint(address, place.port)
    }

    private var local: IPAddress? { address.flatMap { IPAddress($0) } }

    func run() async throws {
        let key = try DeviceKey(seed: seed.flatMap(Hexadecimal.decode) ?? RandomBytes.system(DeviceKey.seedByteCount))
        let order = LabQUICEnd.Order(
            key: key,
            peer: try DevicePublicKey(bytes: Hexadecimal.decode(peer) ?? []),
            local: local ?? (remote?.address.isIPv6 == true ? .v6(high: 0, low: 1) : .v4(0x7F00_0001)),
            remote: remote,
            bytes: send,
            streams: streams,
            packetSize: packetSize ?? QUICLimits().packetSize.first,
            datagram: datagram,
            isSink: sink,
            holds: hold
        )
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let over = loop.makePromise(of: Void.self)
        let end = try await loop.submit { NIOLoopBound(LabQUICEnd(order, on: loop, over: over), eventLoop: loop) }.get()
        loop.execute { end.value.start() }
        let signals = CommandSignal.watch { _ in loop.execute { end.value.close() } }
        defer { signals.cancel() }
        try await over.futureResult.get()
    }
}

extension IPAddress {
    /// Nothing is sent to the internet.
    fileprivate var isNear: Bool { AddressRealm(self) == .private }

    fileprivate var isIPv6: Bool {
        if case .v6 = self { return true }
        return false
    }
}
