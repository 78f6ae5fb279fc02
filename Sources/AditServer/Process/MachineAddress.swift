// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTransport
import NIOCore
import NIOPosix

/// What can be found out about this machine's place in the network without sending anything.
package enum MachineAddress {
    /// The address from which this machine reaches the internet; nil when it has no route there.
    ///
    /// A UDP socket that is connected sends nothing, but the system chooses its address.
    package static func outward() async -> IPAddress? {
        // 192.0.2.1 is for documentation (RFC 5737): nobody is there, and the default route leads to it.
        let socket = try? await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "192.0.2.1", port: 9).get()
        guard let socket else { return nil }
        let address = socket.localAddress.flatMap(IPEndpoint.init)?.address
        try? await socket.close().get()
        guard let address, !address.isUnspecified, !address.isLoopback else { return nil }
        return address
    }

    /// The addresses that a name has; empty when it does not resolve.
    package static func resolve(_ name: String) async -> [IPAddress] {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        defer { pool.shutdownGracefully { _ in } }
        let found = try? await pool.runIfActive { HostLookup.addresses(of: name) }
        return found ?? []
    }

    /// The addresses of this machine's interfaces.
    package static func own() -> Set<IPAddress> {
        let devices = (try? System.enumerateDevices()) ?? []
        return Set(devices.compactMap { $0.address.flatMap(IPEndpoint.init)?.address })
    }

    /// The addresses of this machine's interfaces without those of IPv6 that go away by themselves.
    static func lasting() -> Set<IPAddress> {
        let own = own()
        // Each line: address, index, prefix length, scope, flags, name (proc_net(5)); IFA_F_PERMANENT is 0x80.
        guard let text = try? PrivateFile.read("/proc/net/if_inet6") else { return own }
        var lasting: Set<IPAddress> = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 5, fields[0].utf8.count == 32, let flags = UInt8(fields[4], radix: 16),
                let high = UInt64(fields[0].prefix(16), radix: 16), let low = UInt64(fields[0].suffix(16), radix: 16)
            else { continue }
            if flags & 0x80 != 0 { lasting.insert(.v6(high: high, low: low)) }
        }
        return own.filter { $0.isIPv4 || lasting.contains($0) }
    }

    /// Whether a TCP port can be opened now; the reason when it cannot.
    package static func portFault(_ port: UInt16, on address: IPAddress) async -> String? {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        do {
            let makeBootstrap = { @Sendable in
                ServerBootstrap(group: loop).serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            }
            let channel = try await DualStack.bind(makeBootstrap, address: address, port: port, on: loop).get()
            try? await channel.close().get()
            return nil
        } catch {
            return (error as? IOError)?.words ?? String(describing: error)
        }
    }
}
