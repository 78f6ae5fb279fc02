// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTraversal
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Opens the ports of a ``STUNService``, one after the other.
struct STUNOpening: Sendable {
    /// A port that could not be opened.
    struct Fault: Error {
        enum Purpose: Sendable {
            case first
            case alternate
            case tls
        }

        let purpose: Purpose
        let port: UInt16
        let reason: any Error
    }

    let setup: STUNSetup
    let listen: IPAddress
    let addresses: STUNAddresses
    let parts: AditServer.Parts
    let certificates: CertificateStore
    let group: any EventLoopGroup
    /// Relays on the same ports; nil for nobody.
    var turn: TURNService?
    var limits = STUNStreams.Limits()
    /// Hears of a port that the service does without.
    let missing: @Sendable (Fault) -> Void

    /// How often a number that the system chose for UDP is tried for TCP.
    private static let attempts = 16

    /// The sockets and listeners of one number.
    private struct Port: Sendable {
        var sockets: [LaneSocket] = []
        var listeners: [any Channel] = []

        var number: UInt16 { sockets.first?.port ?? listeners.first?.localEndpoint?.port ?? 0 }

        func close() {
            for socket in sockets { DatagramLane.close(socket) }
            for listener in listeners { listener.close(promise: nil) }
        }
    }

    /// The addresses to bind to: those that were named, else the one of the server.
    private var places: [IPAddress] {
        setup.addresses.isEmpty ? [listen] : setup.addresses.map(\.own)
    }

    /// Opens everything; throws `Fault` for a port that has to be there, and has closed the others then.
    func open() async throws -> STUNService {
        // Connections wait in the system's queue until everything is there.
        let streams = NIOLockedValueBox<STUNStreams?>(nil)
        let first = try await openPort(setup.port, .first, streams)
        var alternate: Port?
        var tls: Port?
        do {
            alternate = try await whereOptional(setup.isAlternatePortOptional) {
                try await openPort(setup.alternatePort, .alternate, streams)
            }
            tls = try await whereOptional(setup.isTLSPortOptional) {
                var port = Port()
                do {
                    for place in places {
                        let number = port.listeners.isEmpty ? setup.tlsPort : port.number
                        port.listeners.append(try await listen(at: place, number, .tls, streams))
                    }
                } catch {
                    for listener in port.listeners { try? await listener.close() }
                    throw error
                }
                return port
            }
            return try await assemble(first, alternate, tls, streams)
        } catch {
            for port in [first, alternate, tls] { port?.close() }
            throw error
        }
    }

    private func assemble(
        _ first: Port,
        _ alternate: Port?,
        _ tls: Port?,
        _ streams: NIOLockedValueBox<STUNStreams?>
    ) async throws -> STUNService {
        let configuration = STUNServerConfiguration(
            v4: addresses.v4?.announced,
            v6: addresses.v6?.announced,
            port: first.number,
            alternatePort: alternate?.number,
            software: "Adit \(parts.version)",
            limits: STUNLimits(
                responsesPerSecond: setup.requestsPerSecond,
                burst: 2 * setup.requestsPerSecond
            )
        )
        let makeDesk = { STUNDesk(addresses, configuration, seed: parts.random.seed()) }
        let sockets = first.sockets + (alternate?.sockets ?? [])
        let datagrams = STUNDatagrams(
            sockets,
            alternatePort: alternate?.number,
            desk: makeDesk(),
            clock: parts.clock
        )
        let made = STUNStreams(
            makeDesk(),
            limits: limits,
            alternatePort: alternate?.number,
            ownPorts: Set([first, alternate, tls].compactMap { $0?.number }),
            parts: parts,
            certificates: certificates,
            turn: turn?.desk
        )
        let lane: DatagramLane
        do {
            let answerer: any DatagramAnswerer = turn.map { TURNDatagrams(datagrams, $0.desk) } ?? datagrams
            lane = try DatagramLane.start(sockets, name: "adit-stun", answerer: answerer)
            turn?.begin(on: lane, port: first.number, tlsPort: tls?.number ?? 0)
        } catch {
            throw Fault(purpose: .first, port: first.number, reason: error)
        }
        streams.withLockedValue { $0 = made }
        let listeners = [first, alternate, tls].flatMap { $0?.listeners ?? [] }
        for listener in listeners { try? await listener.setOption(.autoRead, value: true).get() }
        return STUNService(
            lane: lane,
            datagrams: datagrams,
            streams: made,
            listeners: listeners,
            addresses: addresses,
            ports: (first.number, alternate?.number ?? 0, tls?.number ?? 0)
        )
    }

    private func whereOptional(_ isOptional: Bool, _ open: () async throws -> Port) async throws -> Port? {
        do {
            return try await open()
        } catch let fault as Fault where isOptional {
            missing(fault)
            return nil
        }
    }

    // MARK: Ports

    /// Opens a number for UDP and TCP on every address.
    private func openPort(
        _ number: UInt16,
        _ purpose: Fault.Purpose,
        _ streams: NIOLockedValueBox<STUNStreams?>
    ) async throws -> Port {
        for attempt in 1... {
            var port = Port()
            do {
                for place in places {
                    do {
                        let wanted = port.sockets.isEmpty ? number : port.number
                        port.sockets.append(try DatagramLane.bind(place, port: wanted))
                    } catch {
                        throw Fault(purpose: purpose, port: number, reason: error)
                    }
                }
                for place in places {
                    port.listeners.append(try await listen(at: place, port.number, purpose, streams))
                }
                return port
            } catch {
                port.close()
                guard number == 0, attempt < Self.attempts, (error as? Fault)?.isTaken == true else { throw error }
            }
        }
        preconditionFailure("the last attempt returned or threw")
    }

    private func listen(
        at place: IPAddress,
        _ number: UInt16,
        _ purpose: Fault.Purpose,
        _ streams: NIOLockedValueBox<STUNStreams?>
    ) async throws -> any Channel {
        let isTLS = purpose == .tls
        let makeBootstrap = { @Sendable [group] in
            ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.maxMessagesPerRead, value: 1)
                .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
                .childChannelInitializer { channel in
                    guard let streams = streams.withLockedValue({ $0 }) else { return channel.close() }
                    return isTLS ? streams.initializeTLS(channel) : streams.initialize(channel)
                }
        }
        do {
            return try await DualStack.bind(makeBootstrap, address: place, port: number, on: group.next()).get()
        } catch {
            throw Fault(purpose: purpose, port: number, reason: error)
        }
    }
}

extension STUNOpening.Fault {
    var isTaken: Bool { (reason as? IOError)?.isAddressInUse ?? false }

    /// What a person is told.
    var error: AditError {
        let failure = reason as? IOError
        let place: Text =
            switch purpose {
            case .first: Text("port \(port), for STUN", zh: "端口 \(port)（用于 STUN）")
            case .alternate: Text("port \(port), the second of STUN", zh: "端口 \(port)（STUN 的第二个端口）")
            case .tls: Text("port \(port), for STUN with TLS", zh: "端口 \(port)（用于 TLS 上的 STUN）")
            }
        let fix: Text? =
            if failure?.isAddressInUse == true {
                Text("find what has it:  ss -lntup 'sport = :\(port)'", zh: "查看占用者：ss -lntup 'sport = :\(port)'")
            } else if failure?.isPermissionMissing == true {
                Text("use a port from 1024, or run as root", zh: "请使用 1024 以上的端口，或以 root 运行")
            } else if failure?.isFamilyMissing == true {
                Text("name addresses of this machine; it has those of  ip address", zh: "请填写本机拥有的地址，可用  ip address  查看")
            } else {
                nil
            }
        return AditError(
            .cannotListen,
            Text("\(place.english), cannot be opened", zh: "无法打开\(place.chinese)"),
            why: [Text(verbatim: failure?.words ?? String(describing: reason))],
            fix: fix
        )
    }
}
