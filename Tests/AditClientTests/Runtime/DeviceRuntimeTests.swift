// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import AditClient

@Suite(.timeLimit(.minutes(1))) struct DeviceRuntimeTests {
    private static func http(_ port: UInt16, name: String = "web") -> TunnelOrder {
        TunnelOrder(kind: .http, target: TunnelTarget(scheme: .http, host: "localhost", port: port), name: name)
    }

    private static func tcp(_ port: UInt16, name: String = "raw") -> TunnelOrder {
        TunnelOrder(kind: .tcp, target: TunnelTarget(scheme: .tcp, host: "localhost", port: port), name: name)
    }

    /// A port on which nothing listens: one that was given and taken back.
    private static func freePort() async throws -> UInt16 {
        let server = try await AnsweringServer.start { $0 }
        let port = server.port
        await server.stop()
        return port
    }

    @Test("The order becomes the request, with what only Adit knows inside its own object")
    func request() throws {
        var order = Self.http(3000)
        order.publicName = "blog"
        order.domains = ["*.example.com"]
        order.auth = ["mei:secret"]
        order.allow = [try #require(CIDR("10.0.0.0/8"))]
        order.expiresIn = .seconds(7200)
        let request = order.request(rewrite: nil)
        #expect(request.proxyName == "web" && request.proxyType == "http")
        #expect(request.customDomains == ["*.example.com"] && request.hostHeaderRewrite == "")
        #expect(
            request.adit
                == AditTunnelRequest(
                    target: "http://localhost:3000",
                    name: "blog",
                    auth: ["mei:secret"],
                    allow: ["10.0.0.0/8"],
                    expiresIn: 7200
                )
        )
        #expect(order.request(rewrite: "localhost:3000").hostHeaderRewrite == "localhost:3000")
        order.hostHeader = .keep
        #expect(order.request(rewrite: "localhost:3000").hostHeaderRewrite == "")
        order.hostHeader = .value("app.test")
        #expect(order.request(rewrite: nil).hostHeaderRewrite == "app.test")
    }

    @Test("A tunnel without a name is called the same in every run")
    func names() {
        func name(_ kind: TunnelOrder.Kind, _ host: String) -> String {
            TunnelOrder(kind: kind, target: TunnelTarget(scheme: .tcp, host: host, port: 80)).name
        }
        #expect(name(.http, "localhost") == "http-80")
        #expect(name(.tcp, "127.0.0.1") == "tcp-80")
        #expect(name(.http, "nas.local") == "http-nas-local-80")
    }

    @Test("A visitor's bytes reach the target and its answers come back")
    func serves() async throws {
        let server = try await AnsweringServer.start { "<\($0)>" }
        let bench = RuntimeBench([Self.tcp(server.port)])
        bench.open("raw", address: "server.example:20001")
        let pair = try await VisitorPair.make()
        try await pair.send("hello")
        bench.runtime.workConnection(
            FRPStartWorkConnection(proxyName: "raw", sourceAddress: "203.0.113.9", sourcePort: 5),
            channel: pair.device
        )
        #expect(await pair.next() == "<hello>")
        let came = await bench.next { event -> String? in
            if case .visitorCame(_, let visitor) = event { visitor } else { nil }
        }
        #expect(came == "203.0.113.9")
        #expect(bench.runtime.status.tunnels.first?.visitorsNow == 1)
        try await pair.visitor.close()
        let visit = await bench.next { event -> VisitStatistics? in
            if case .visitorLeft(_, _, let visit) = event { visit } else { nil }
        }
        #expect(visit?.bytesIn == 5 && visit?.bytesOut == 7)
        let status = try #require(bench.runtime.status.tunnels.first)
        #expect(status.visitorsNow == 0 && status.visitorsTotal == 1 && status.bytesIn == 5 && status.bytesOut == 7)
        #expect(status.state == .open && status.addresses == ["server.example:20001"])
        await server.stop()
    }

    @Test("A connection for a tunnel that nobody ordered is closed")
    func unknownTunnel() async throws {
        let bench = RuntimeBench([Self.tcp(9)])
        let pair = try await VisitorPair.make()
        bench.runtime.workConnection(FRPStartWorkConnection(proxyName: "other"), channel: pair.device)
        #expect(await pair.next() == nil)
    }

    @Test("A target that does not answer holds the tunnel, which opens when it does")
    func heldUntilItAnswers() async throws {
        let port = try await Self.freePort()
        let bench = RuntimeBench([Self.http(port)])
        let failure = await bench.next { event -> AditError? in
            if case .health(_, .fails(let error)) = event { error } else { nil }
        }
        #expect(failure?.code == .nothingListens)
        bench.open("web", address: "http://calm-otter.server.example")
        #expect(bench.runtime.status.tunnels.first?.state == .held)
        #expect(bench.runtime.status.tunnels.first?.code == "ADIT-201")
        let server = try await AnsweringServer.start(port: port) { _ in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
        let status = await bench.next { event -> Int? in
            if case .health(_, .answers(let status, _)) = event { status } else { nil }
        }
        #expect(status == 200)
        #expect(bench.runtime.status.tunnels.first?.state == .open)
        #expect(bench.runtime.status.tunnels.first?.code == nil)
        await server.stop()
    }

    @Test("A target that dies is noticed by the next visitor, whose connection is closed")
    func targetDies() async throws {
        let server = try await AnsweringServer.start { $0 }
        let bench = RuntimeBench([Self.tcp(server.port)])
        _ = await bench.next { event -> Bool? in
            if case .health(_, .answers) = event { true } else { nil }
        }
        bench.open("raw", address: "server.example:20001")
        await server.stop()
        let pair = try await VisitorPair.make()
        bench.runtime.workConnection(FRPStartWorkConnection(proxyName: "raw"), channel: pair.device)
        #expect(await pair.next() == nil)
        let code = await bench.next { event -> ErrorCode? in
            if case .health(_, .fails(let error)) = event { error.code } else { nil }
        }
        #expect(code == .nothingListens)
    }

    @Test("An app that rejects its public name is sent its own from then on")
    func rewritesHost() async throws {
        let server = try await AnsweringServer.start { request in
            request.contains("Host: localhost:")
                ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                : "HTTP/1.1 403 Forbidden\r\nContent-Length: 16\r\n\r\nBlocked request."
        }
        let bench = RuntimeBench([Self.http(server.port)])
        bench.open("web", address: "http://calm-otter.server.example:8080")
        let error = await bench.next { event -> AditError? in
            if case .hostRewritten(_, let error) = event { error } else { nil }
        }
        #expect(error?.code == .hostRejected)
        // The last thing asked for is the tunnel with the header rewritten.
        let last =
            try await Self.poll {
                let calls = bench.link.calls.withLockedValue { $0 }
                guard case .register(let proxy)? = calls.last, calls.contains(.unregister("web")) else { return nil }
                return proxy
            } as FRPNewProxy
        #expect(last.hostHeaderRewrite == "localhost:\(server.port)")
        await server.stop()
    }

    /// Waits for a value that another thread is about to make.
    private static func poll<Value>(_ read: () -> Value?) async throws -> Value {
        while true {
            if let value = read() { return value }
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    @Test("A TLS server behind a web name is told apart from nothing at all")
    func wrongScheme() async throws {
        let server = try await AnsweringServer.start { _ in
            "HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"
        }
        let bench = RuntimeBench([Self.http(server.port)])
        let error = await bench.next { event -> AditError? in
            if case .health(_, .fails(let error)) = event { error } else { nil }
        }
        #expect(error?.code == .wrongScheme)
        #expect(error?.fix?.english == "adit http https://localhost:\(server.port)")
        await server.stop()
    }

    @Test("A target that resets the connection at a request is there all the same")
    func resets() async throws {
        let server = try await AnsweringServer.start { _ in AnsweringServer.reset }
        let bench = RuntimeBench([Self.http(server.port)])
        let status = await bench.next { event -> Int?? in
            if case .health(_, .answers(let status, _)) = event { .some(status) } else { nil }
        }
        #expect(status == .some(nil))
        await server.stop()
    }

    @Test("Other tunnels replace the present ones without touching those that stay the same")
    func replaces() throws {
        let bench = RuntimeBench([Self.tcp(1, name: "a"), Self.tcp(2, name: "b"), Self.tcp(3, name: "c")])
        #expect(bench.link.summary == ["+a", "+b", "+c"])
        bench.runtime.replaceTunnels(with: [Self.tcp(1, name: "a"), Self.tcp(22, name: "b"), Self.tcp(4, name: "d")])
        #expect(bench.link.summary == ["+a", "+b", "+c", "-c", "-b", "+b", "-d", "+d"])
        #expect(bench.runtime.status.tunnels.map(\.name) == ["a", "b", "d"])
        #expect(bench.runtime.status.tunnels.map(\.target) == ["localhost:1", "localhost:22", "localhost:4"])
    }

    @Test("A tunnel into its own server is refused before the server is asked")
    func loop() async {
        let target = TunnelTarget(scheme: .tcp, host: "server.example", port: 7000)
        let bench = RuntimeBench([TunnelOrder(kind: .tcp, target: target, name: "loop")])
        let code = await bench.next { event -> ErrorCode? in
            if case .refused(_, let error, nil) = event { error.code } else { nil }
        }
        #expect(code == .targetLoop)
        #expect(bench.link.summary == [])
    }

    @Test("A target at a forbidden address is refused before the server is asked, and a person may insist")
    func forbidden() async {
        var order = TunnelOrder(
            kind: .http,
            target: TunnelTarget(scheme: .http, host: "169.254.169.254", port: 80),
            name: "meta"
        )
        let bench = RuntimeBench([order])
        let end = await bench.next { event -> ErrorCode? in
            if case .ended(let error?) = event { error.code } else { nil }
        }
        #expect(end == .targetRefused)
        #expect(bench.link.summary == [])
        order.targetAllow = ["169.254.169.254"]
        #expect(TargetRules.refusal(of: order) == nil)
    }

    @Test("The end of a process is what a person has to mend: not a lost session, not a refusal that may pass")
    func ends() async {
        let bench = RuntimeBench([Self.tcp(1, name: "a"), Self.tcp(2, name: "b")])
        let lost = AditError(.serverUnreachable, "lost")
        let taken = AditError(.nameTaken, "taken")
        bench.runtime.sessionEvent(.disconnected(lost, retryAfter: .seconds(3)))
        bench.runtime.sessionEvent(.registrationFailed(name: "a", taken, willRetry: true))
        bench.runtime.sessionEvent(.registrationFailed(name: "a", taken, willRetry: false))
        bench.runtime.sessionEvent(.tunnelClosed(name: "b", AditError(.takenOver, "newer")))
        bench.runtime.sessionEvent(.draining(.seconds(1)))
        var seen: [String] = []
        let end = await bench.next { event -> AditError? in
            switch event {
            case .waiting(let error, let delay): seen.append("waiting \(error.code) \(delay)")
            case .refused(let name, let error, let retry): seen.append("refused \(name) \(error.code) \(retry != nil)")
            case .closed(let name, let error): seen.append("closed \(name) \(error.code)")
            case .ended(let error): return error
            default: break
            }
            return nil
        }
        #expect(
            seen == [
                "waiting ADIT-101 3.0 seconds", "refused a ADIT-302 true", "refused a ADIT-302 false",
                "closed b ADIT-308",
            ]
        )
        #expect(end?.code == .takenOver)
    }

    @Test("A refused login ends the process with the server's reason")
    func refusedLogin() async {
        let bench = RuntimeBench([Self.tcp(1)])
        bench.runtime.sessionEvent(.refused(AditError(.deviceRemoved, "removed")))
        let end = await bench.next { event -> AditError? in
            if case .ended(let error) = event { error } else { nil }
        }
        #expect(end?.code == .deviceRemoved)
        #expect(!bench.runtime.status.isConnected)
    }

    @Test("Requests are counted and told")
    func requests() async {
        let bench = RuntimeBench([Self.http(1)])
        bench.runtime.sessionEvent(
            .requestReport(
                AditRequestReport(
                    proxyName: "web",
                    time: 0,
                    method: "GET",
                    path: "/",
                    status: 200,
                    durationMs: 18,
                    visitor: "61.140.3.9",
                    upgraded: false
                )
            )
        )
        let row = await bench.next { event -> RequestRow? in
            if case .request(_, let row) = event { row } else { nil }
        }
        #expect(
            row
                == RequestRow(
                    method: "GET",
                    path: "/",
                    status: 200,
                    duration: .milliseconds(18),
                    visitor: "61.140.3.9"
                )
        )
        #expect(bench.runtime.status.tunnels.first?.requests == 1)
    }
}
