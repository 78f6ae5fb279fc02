// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOPosix

/// A blocking socket, as a program on this machine has it; waits 20 seconds at most.
struct PlainSocket: Sendable {
    /// One for each socket that the tests may block on at a time; NIO's shared pool has as many as there are cores, and
    /// two tests with a client and a server each would wait for each other.
    private static let threads: NIOThreadPool = {
        let threads = NIOThreadPool(numberOfThreads: 64)
        threads.start()
        return threads
    }()

    struct Failure: Error, Equatable {
        let number: Int32
    }

    private let descriptor: Int32

    /// The port that it is bound to.
    var port: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func make(
        _ type: __socket_type,
        _ port: UInt16,
        _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> PlainSocket {
        let made = PlainSocket(socket(AF_INET, Int32(type.rawValue), 0))
        var place = address(port)
        let result = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                use(made.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(number: errno) }
        return made
    }

    /// Connects to a port of loopback.
    static func connect(_ port: UInt16, datagrams: Bool = false) throws -> PlainSocket {
        try make(datagrams ? SOCK_DGRAM : SOCK_STREAM, port) { Glibc.connect($0, $1, $2) }
    }

    /// Takes a free port of loopback.
    static func bind(datagrams: Bool) throws -> PlainSocket {
        let made = try make(datagrams ? SOCK_DGRAM : SOCK_STREAM, 0) { Glibc.bind($0, $1, $2) }
        if !datagrams { Glibc.listen(made.descriptor, 64) }
        return made
    }

    /// Takes a port of loopback for datagrams.
    static func bindDatagrams(_ port: UInt16) throws -> PlainSocket {
        try make(SOCK_DGRAM, port) { Glibc.bind($0, $1, $2) }
    }

    /// The next datagram, and the port of loopback that it came from.
    func receiveFrom() throws -> ([UInt8], UInt16) {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var sender = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &sender) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &bytes, 65_536, 0, $0, &size) }
        }
        guard count >= 0 else { throw Failure(number: errno) }
        return (Array(bytes[..<count]), UInt16(bigEndian: sender.sin_port))
    }

    /// Sends a datagram to a port of loopback.
    func send(_ bytes: [UInt8], to port: UInt16) throws {
        var place = Self.address(port)
        let count = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard count == bytes.count else { throw Failure(number: errno) }
    }

    func accept() throws -> PlainSocket {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw Failure(number: errno) }
        return PlainSocket(accepted)
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        repeat {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count >= 0 else { throw Failure(number: errno) }
            rest = rest.dropFirst(count)
        } while !rest.isEmpty
    }

    /// What comes next; empty at the end of a connection.
    func receive(_ limit: Int = 65_536) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &bytes, limit, 0)
        guard count >= 0 else { throw Failure(number: errno) }
        return Array(bytes[..<count])
    }

    /// Everything until the end of a connection.
    func receiveAll() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while case let more = try receive(), !more.isEmpty { bytes += more }
        return bytes
    }

    func endOutput() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    func close() {
        Glibc.close(descriptor)
    }

    /// Runs blocking work away from event loops and tasks.
    static func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await threads.runIfActive { try work() }
    }
}
