// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditClient

@Suite struct ListeningPortsTests {
    private static let tcp = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0000000000000000 100 0 0 10 0
           1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   108        0 222 1 0000000000000000 100 0 0 10 0
           2: 0501A8C0:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 333 1 0000000000000000 100 0 0 10 0
           3: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 444 1 0000000000000000 20 4 30 10 -1
        """
    private static let tcp6 = """
          sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 00000000000000000000000001000000:1435 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 555 1 0000000000000000 100 0 0 10 0
           1: 00000000000000000000000000000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   108        0 666 1 0000000000000000 100 0 0 10 0
        """

    @Test("Listening sockets of both families are read, connected ones are not")
    func parses() {
        let rows = ListeningPorts.parse(Self.tcp) + ListeningPorts.parse(Self.tcp6)
        #expect(
            rows.map(\.endpoint.description)
                == ["0.0.0.0:8080", "127.0.0.1:5432", "192.168.1.5:3000", "[::1]:5173", "[::]:5432"]
        )
        #expect(rows.map(\.inode) == [111, 222, 333, 555, 666])
    }

    @Test("Each port is named once, with the widest address and a process when one is known")
    func merges() {
        let rows = ListeningPorts.parse(Self.tcp) + ListeningPorts.parse(Self.tcp6)
        let ports = ListeningPorts.merge(rows, names: [111: "java", 555: "node", 666: "postgres"])
        #expect(
            ports.map { "\($0.endpoint) \($0.process ?? "-")" }
                == ["192.168.1.5:3000 -", "[::1]:5173 node", "[::]:5432 postgres", "0.0.0.0:8080 java"]
        )
    }

    @Test(
        "Text of another shape is passed over",
        arguments: [
            "", "x", "a\nb c d", "h\n 0: ZZ:1F90 0:0 0A a b c d e f g", "h\n 0: 0100007F:FFFFF x 0A 1 2 3 4 5 6",
        ]
    )
    func ignoresGarbage(text: String) {
        #expect(ListeningPorts.parse(text).isEmpty)
    }

    @Test("A container is known by its cgroup")
    func container() {
        #expect(ContainerFacts.namesContainer("0::/system.slice/docker-0123.scope\n"))
        #expect(ContainerFacts.namesContainer("0::/kubepods/burstable/pod1\n"))
        #expect(!ContainerFacts.namesContainer("0::/init.scope\n"))
    }
}

@Suite("Ports of UDP that are open")
struct OpenDatagramPortsTests {
    @Test("a row of /proc/net/udp with the port says so, one that is connected does not")
    func rows() {
        let text = """
               sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
              101: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
              102: 00000000:4A51 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
            """
        #expect(ListeningPorts.hasUDP(53, in: text))
        #expect(!ListeningPorts.hasUDP(0x4A51, in: text))
        #expect(!ListeningPorts.hasUDP(5353, in: text))
        #expect(!ListeningPorts.hasUDP(53, in: "") && !ListeningPorts.hasUDP(53, in: "a\nb c d e"))
    }
}
