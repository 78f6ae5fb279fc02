// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProbeRequestTests {
    @Test func `a response comes back whole, with this machine's address`() async throws {
        let server = try await TextServer("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello")
        let bench = await MachineBench()
        let id = bench.newID()
        bench.perform(.request(id, request(server, fields: [SocketField("SOAPAction", "\"u#A\"")], body: [65, 66])))
        guard case .response(id, let response)? = await bench.next() else { throw MachineBench.Unexpected() }
        #expect(response.status == 200 && response.body == Array("hello".utf8))
        #expect(response.field("server") == "x")
        #expect(response.local.address == MachineBench.loopback.address && response.local.port != 0)

        let asked = try await server.asked()
        #expect(asked.hasPrefix("POST /ctl?a=b HTTP/1.1\r\n"))
        #expect(asked.contains("Host: router:\(server.endpoint.port)\r\n"))
        #expect(asked.contains("SOAPAction: \"u#A\"\r\n"))
        #expect(asked.contains("Content-Length: 2\r\n"))
        #expect(asked.contains("Connection: close\r\n"))
        #expect(asked.hasSuffix("\r\n\r\nAB"))
        #expect(try await bench.end() == [])
    }

    @Test(arguments: [
        // Chunks; an end by closing; a redirection, which is not followed; an answer before the answer.
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi"),
        ("HTTP/1.0 500 No\r\n\r\nbye", 500, "bye"),
        ("HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    ])
    func `forms of a response`(_ text: String, _ status: Int, _ body: String) async throws {
        let server = try await TextServer(text, closes: true)
        let bench = await MachineBench()
        let id = bench.newID()
        bench.perform(.request(id, request(server)))
        guard case .response(id, let response)? = await bench.next() else { throw MachineBench.Unexpected() }
        #expect(response.status == status && response.body == Array(body.utf8))
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n" + String(repeating: "a", count: 65),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\na\r\n", count: 65),
        "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 100) + "\r\n",
        "HTTP/1.1 200 OK\r\nA: " + String(repeating: "b", count: 20_000) + "\r\n\r\n",
        "NOTIFY * HTTP/1.1\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}", "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    ])
    func `what is too long, garbage or cut off is malformed`(_ text: String) async throws {
        let server = try await TextServer(text, closes: true)
        let bench = await MachineBench()
        let id = bench.newID()
        bench.perform(.request(id, request(server)))
        #expect(await bench.next() == .closed(id, .malformed))
        #expect(try await bench.end() == [])
    }

    @Test func `what the system refuses at once is not kept`() async throws {
        let bench = await MachineBench()
        let request = bench.newID()
        // No connection can be made to the broadcast address, and no listener opened at an address of nobody here.
        let nowhere = IPEndpoint(.v4(0xFFFF_FFFF), 80)
        bench.perform(.request(request, SocketRequest("GET", to: nowhere, host: "router", path: "/")))
        guard case .closed(request, _)? = await bench.next() else { throw MachineBench.Unexpected() }
        let listener = bench.newID()
        bench.perform(.open(listener, .listener(local: IPEndpoint(.v4(0xC000_0201), 0))))
        guard case .closed(listener, _)? = await bench.next() else { throw MachineBench.Unexpected() }
        let (_, local) = try await bench.open(.udp(local: MachineBench.loopback))
        #expect(local.port != 0)
        #expect(try await bench.driver.openCount().get() == 1)
        #expect(try await bench.end() == [])
    }

    @Test func `nobody there, and a server that says nothing before it closes`() async throws {
        let bench = await MachineBench()
        let (listener, gone) = try await bench.open(.listener(local: MachineBench.loopback))
        bench.perform(.close(listener, isAbrupt: false))
        let first = bench.newID()
        bench.perform(.request(first, SocketRequest("GET", to: gone, host: "router", path: "/")))
        #expect(await bench.next() == .closed(first, .refused))

        let server = try await TextServer("", closes: true)
        let second = bench.newID()
        bench.perform(.request(second, request(server)))
        #expect(await bench.next() == .closed(second, .finished))
    }

    @Test func `a slow server is given up`() async throws {
        let server = try await TextServer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        let bench = await MachineBench()
        let id = bench.newID()
        bench.perform(.request(id, request(server)))
        _ = try await server.asked()
        bench.perform(.close(id, isAbrupt: false))
        try await server.isLeft()
        #expect(try await bench.end() == [])
    }

    @Test(arguments: [
        SocketRequest("GET", to: MachineBench.loopback, host: "router", path: "/a\r\nX: y"),
        SocketRequest("GET", to: MachineBench.loopback, host: "router", path: "/a b"),
        SocketRequest("GET", to: MachineBench.loopback, host: "router", path: ""),
        SocketRequest("GET", to: MachineBench.loopback, host: "a\r\nX: y", path: "/"),
        SocketRequest("G T", to: MachineBench.loopback, host: "router", path: "/"),
        SocketRequest("GET", to: MachineBench.loopback, host: "r", path: "/", fields: [SocketField("A", "b\r\nX: y")]),
        SocketRequest("GET", to: MachineBench.loopback, host: "r", path: "/", fields: [SocketField("A:", "b")]),
    ])
    func `nothing that a router gave adds a line to a request`(_ request: SocketRequest) async throws {
        let bench = await MachineBench()
        let id = bench.newID()
        bench.perform(.request(id, request))
        #expect(await bench.next() == .closed(id, .malformed))
    }

    private func request(
        _ server: TextServer,
        fields: [SocketField] = [],
        body: [UInt8] = []
    ) -> SocketRequest {
        SocketRequest(
            "POST",
            to: server.endpoint,
            host: "router",
            path: "/ctl?a=b",
            fields: fields,
            body: body,
            responseLimit: 64
        )
    }
}

/// A machine that answers each connection's first bytes with a text.
private final class TextServer {
    let endpoint: IPEndpoint
    private let bench: MachineBench

    init(_ text: String, closes: Bool = false) async throws {
        bench = await MachineBench()
        let (_, local) = try await bench.open(.listener(local: MachineBench.loopback))
        endpoint = local
        bench.driver.update { machine in
            machine.reaction = { input in
                guard case .bytes(let id, _) = input else { return [] }
                let answer: [SocketOutput<SocketInput>] = text.isEmpty ? [] : [.write(id, Array(text.utf8))]
                return closes ? answer + [.close(id, isAbrupt: false)] : answer
            }
        }
    }

    /// The first bytes of the first connection.
    func asked() async throws -> String {
        guard case .accepted(let id, _, _, _)? = await bench.next(), case .bytes(id, let bytes)? = await bench.next()
        else { throw MachineBench.Unexpected() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits until the other side is gone.
    func isLeft() async throws {
        guard case .closed? = await bench.next() else { throw MachineBench.Unexpected() }
    }
}
