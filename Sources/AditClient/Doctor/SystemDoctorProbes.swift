// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditTraversal
import AditWire
import Glibc
package import NIOCore
import NIOSSL

/// The doctor's looks with real sockets.
package struct SystemDoctorProbes: DoctorProbes {
    private let loop: any EventLoop
    private let home: DeviceHome?
    private let variables: [String: String]

    /// Makes them.
    ///
    /// - Parameters:
    ///   - home: where running processes answer; nil for none.
    ///   - environment: of this process.
    package init(on loop: any EventLoop, home: DeviceHome?, environment: [String: String]) {
        self.loop = loop
        self.home = home
        variables = environment
    }

    package func network() -> LocalNetwork { .current() }

    package func environment() -> [String: String] { variables }

    package func processes() -> [DeviceStatus] { home.map(StatusSocket.askAll) ?? [] }

    package func unixTime() -> Int64 { WallClock.unixSeconds() }

    package func resolve(_ host: String, port: UInt16) async -> NameFinding {
        let start = NIODeadline.now()
        let promise = loop.makePromise(of: NameFinding.self)
        let lookup = NameLookup.addresses(of: host, port: port, on: loop)
        // The resolver cannot be stopped; its late answer is dropped.
        let timer = loop.scheduleTask(in: .nanoseconds(Doctor.stepLimit.wholeNanoseconds)) {
            lookup.eventLoop.assertInEventLoop()
            promise.succeed(.noResolver("no answer in \(Int(Doctor.stepLimit.inSeconds)) s"))
        }
        lookup.whenComplete { result in
            guard SessionProbe.time(since: start) < Doctor.stepLimit else { return }
            timer.cancel()
            switch result {
            case .success(let addresses):
                let found = addresses.compactMap { IPEndpoint($0) }
                promise.succeed(
                    found.isEmpty
                        ? .unknown("no address") : .found(found, after: SessionProbe.time(since: start))
                )
            case .failure(let failure):
                let words = "\(failure)"
                let isTemporary = (failure as? NameLookup.Failure)?.code == EAI_AGAIN
                promise.succeed(isTemporary ? .noResolver(words) : .unknown(words))
            }
        }
        return await value(of: promise.futureResult, otherwise: .noResolver("no answer"))
    }

    package func session(at addresses: [IPEndpoint], host: String, trust: ServerTrust) async -> SessionFinding {
        var finding = SessionFinding()
        let start = NIODeadline.now()
        do {
            let found = try await ProbeConnector.connect(to: addresses, on: loop, limit: Doctor.stepLimit).get()
            finding.address = found.address
            finding.failures = found.failures
            finding.connectTime = SessionProbe.time(since: start)
            let left = max(Doctor.sessionLimit - SessionProbe.time(since: start), .milliseconds(500))
            let result = await speak(on: found, host: host, trust: trust, limit: left)
            finding.tls = result.tls
            finding.hello = result.hello
        } catch let error as ProbeConnector.Failed {
            finding.failures = error.failures
            return finding
        } catch {
            return finding
        }
        switch finding.tls {
        case .broken?, .notTLS?:
            // Portals that take every connection often understand nothing but a plain request.
            let left = Doctor.sessionLimit + .seconds(1) - SessionProbe.time(since: start)
            if left > .milliseconds(300), let address = finding.address,
                case .answered(let answer) = await ask(address, host: host, isTLS: false, limit: left)
            {
                finding.tls = .answersHTTP(answer)
            }
        default: break
        }
        return finding
    }

    private func speak(
        on connection: ProbeConnector.Connected,
        host: String,
        trust: ServerTrust,
        limit: Duration
    ) async -> SessionProbe.Result {
        let promise = loop.makePromise(of: SessionProbe.Result.self)
        let channel = connection.channel
        loop.execute {
            let keeper = connection.keeper.value
            guard channel.isActive else {
                let tls = SessionProbe.failure(nil, first: keeper.bytes, isSilent: false, after: .zero)
                return promise.succeed(SessionProbe.Result(tls: tls, hello: nil))
            }
            do {
                let tls = try ClientTLS(trust: trust, host: host, clientCertificate: nil, isAdit: true)
                let (handler, check) = try tls.makeHandler()
                let probe = SessionProbe(check: check, keeper: keeper, limit: limit, promise: promise)
                // From the back, since TLS begins as soon as its handler is there.
                try channel.pipeline.syncOperations.addHandler(probe)
                try channel.pipeline.syncOperations.addHandler(handler, position: .after(keeper))
                channel.setOption(.autoRead, value: true).whenSuccess { channel.read() }
            } catch {
                promise.succeed(SessionProbe.Result(tls: .broken(ProbeWords.words(error)), hello: nil))
                channel.close(promise: nil)
            }
        }
        return await value(of: promise.futureResult, otherwise: SessionProbe.Result(tls: .silent, hello: nil))
    }

    package func names(at address: IPEndpoint, host: String, isTLS: Bool) async -> NamesFinding {
        await ask(address, host: host, isTLS: isTLS, limit: Doctor.stepLimit)
    }

    private func ask(_ address: IPEndpoint, host: String, isTLS: Bool, limit: Duration) async -> NamesFinding {
        let start = NIODeadline.now()
        let port = address.port == (isTLS ? 443 : 80) ? "" : ":\(address.port)"
        let shown = host.contains(":") ? "[\(host)]" : host
        let request = "GET / HTTP/1.1\r\nHost: \(shown)\(port)\r\nUser-Agent: adit-doctor\r\nConnection: close\r\n\r\n"
        return await exchange(
            with: address,
            host: host,
            isTLS: isTLS,
            request: Array(request.utf8),
            limit: limit,
            otherwise: NamesFinding.notHTTP("the connection was closed without an answer")
        ) { bytes, end in
            let isWhole = HTTPFinding.isWhole(bytes)
            if isWhole, let answer = HTTPFinding(head: bytes, time: SessionProbe.time(since: start)) {
                return .answered(answer)
            }
            switch end {
            case .open: return isWhole ? .notHTTP("the answer is not HTTP") : nil
            case .closed: return bytes.isEmpty ? nil : .notHTTP("the answer is not HTTP")
            case .timedOut: return .notHTTP("no answer in \(Int(limit.inSeconds.rounded(.up))) s")
            case .failed(let words): return .notHTTP(words)
            }
        } failed: { failure in
            .failed(failure)
        }
    }

    package func stun(at address: IPEndpoint, host: String, over transport: STUNTransport) async -> STUNFinding {
        transport == .tls ? await stunTLS(address, host: host) : await stunPlain(address, transport)
    }

    private func stunPlain(_ address: IPEndpoint, _ transport: STUNTransport) async -> STUNFinding {
        let timing =
            transport == .udp
            ? STUNTiming(retransmission: .milliseconds(300), transmissions: 4, lastWait: 3)
            : STUNTiming(retransmission: .seconds(1), transmissions: 1, lastWait: 3)
        let query = STUNQuery(
            STUNQuery.Configuration(server: address, transport: transport, timing: timing),
            random: SystemRandomNumberGenerator()
        )
        let promise = loop.makePromise(of: STUNFinding.self)
        let driver = SocketMachineDriver(query, on: loop) { event in
            switch event {
            case .answered(let mapped, _, _, let time): promise.succeed(.answered(mapped: mapped, after: time))
            case .refused(let number, let reason): promise.succeed(.failed("error \(number) \(reason.prefix(80))"))
            case .timedOut: promise.succeed(.failed("no answer in 3 s"))
            case .failed(let end): promise.succeed(.failed(Self.words(end)))
            case .unreachable(let refusal): promise.succeed(.failed(Self.words(refusal)))
            }
        }
        let timer = loop.scheduleTask(in: .nanoseconds(Doctor.stepLimit.wholeNanoseconds)) {
            promise.succeed(.failed("no answer in 3 s"))
        }
        driver.start()
        let finding = await value(of: promise.futureResult, otherwise: .failed("no answer"))
        timer.cancel()
        driver.cancel()
        return finding
    }

    package func turn(
        at address: IPEndpoint,
        host: String,
        over transport: STUNTransport,
        _ wish: TURNWish
    ) async -> TURNFinding {
        let query = TURNQuery(
            TURNClientConfiguration(
                server: address,
                transport: transport,
                username: wish.username,
                password: wish.password,
                realm: wish.realm,
                nonce: wish.nonce,
                timing: transport == .udp
                    ? STUNTiming(retransmission: .milliseconds(300), transmissions: 4, lastWait: 3)
                    : STUNTiming(retransmission: .seconds(1), transmissions: 1, lastWait: 3)
            ),
            name: host,
            random: SystemRandomNumberGenerator()
        )
        let promise = loop.makePromise(of: TURNFinding.self)
        // Only whether it relays is looked at; the password is proven, never sent.
        let tls = SocketTLS(trust: .unverified(name: host), applicationProtocols: ["stun.turn"], isAdit: false)
        let driver = SocketMachineDriver(query, on: loop, tls: tls) { event in
            switch event {
            case .answered(let finding): promise.succeed(.answered(finding))
            case .refused(let failure): promise.succeed(.refused(failure))
            case .failed(let end): promise.succeed(.failed(Self.words(end)))
            case .unreachable(let refusal): promise.succeed(.failed(Self.words(refusal)))
            }
        }
        let timer = loop.scheduleTask(in: .nanoseconds(Doctor.stepLimit.wholeNanoseconds)) {
            promise.succeed(.refused(.timedOut))
        }
        driver.start()
        let finding = await value(of: promise.futureResult, otherwise: TURNFinding.refused(.timedOut))
        timer.cancel()
        driver.cancel()
        return finding
    }

    private func stunTLS(_ address: IPEndpoint, host: String) async -> STUNFinding {
        var generator = SystemRandomNumberGenerator()
        let id = STUNTransactionID(using: &generator)
        var request: [UInt8] = []
        STUNMessage(.request, transactionID: id).encode(into: &request)
        let start = NIODeadline.now()
        return await exchange(
            with: address,
            host: host,
            isTLS: true,
            request: request,
            limit: Doctor.stepLimit,
            otherwise: STUNFinding.failed("the connection was closed without an answer")
        ) { bytes, end in
            if let count = (try? STUNMessage.byteCount(inStream: bytes.span.bytes)).flatMap({ $0 }),
                bytes.count >= count,
                let message = try? STUNMessage.decode(Array(bytes.prefix(count)).span.bytes),
                message.transactionID == id, let mapped = message.mappedEndpoint
            {
                return .answered(mapped: mapped, after: SessionProbe.time(since: start))
            }
            switch end {
            case .open, .closed: return nil
            case .timedOut: return .failed("no answer in 3 s")
            case .failed(let words): return .failed(words)
            }
        } failed: { failure in
            .failed(failure.reason)
        }
    }

    private func exchange<Answer: Sendable>(
        with address: IPEndpoint,
        host: String,
        isTLS: Bool,
        request: [UInt8],
        limit: Duration,
        otherwise: Answer,
        judge: @escaping @Sendable ([UInt8], ProbeExchange<Answer>.End) -> Answer?,
        failed: (ConnectFailure) -> Answer
    ) async -> Answer {
        let start = NIODeadline.now()
        let channel: any Channel
        do {
            channel = try await ProbeConnector.connect(to: [address], on: loop, limit: limit).get().channel
        } catch let error as ProbeConnector.Failed {
            return error.failures.first.map(failed) ?? otherwise
        } catch {
            return otherwise
        }
        let left = max(limit - SessionProbe.time(since: start), .milliseconds(100))
        let promise = loop.makePromise(of: Answer.self)
        loop.execute {
            do {
                let probe = ProbeExchange(
                    request: request,
                    isTLS: isTLS,
                    limit: left,
                    otherwise: otherwise,
                    promise: promise,
                    judge: judge
                )
                try channel.pipeline.syncOperations.addHandler(probe)
                if isTLS, channel.isActive {
                    // Only whether it answers is looked at; nothing secret is sent.
                    let tls = try ClientTLS(
                        trust: .unverified(name: host),
                        host: host,
                        clientCertificate: nil,
                        isAdit: false
                    )
                    try channel.pipeline.syncOperations.addHandler(try tls.makeHandler().handler, position: .first)
                }
                channel.setOption(.autoRead, value: true).whenSuccess { channel.read() }
            } catch {
                channel.close(promise: nil)
                promise.succeed(otherwise)
            }
        }
        return await value(of: promise.futureResult, otherwise: otherwise)
    }

    private func value<Answer: Sendable>(of future: EventLoopFuture<Answer>, otherwise: Answer) async -> Answer {
        (try? await future.get()) ?? otherwise
    }

    private static func words(_ end: SocketEnd) -> String {
        switch end {
        case .finished: "the connection was closed"
        case .reset: "connection reset"
        case .refused: "connection refused"
        case .timedOut: "no answer in 3 s"
        case .unreachable: "no route"
        case .addressUnavailable: "no local address"
        case .denied: "not permitted"
        case .malformed: "the answer is not STUN"
        }
    }

    private static func words(_ refusal: SocketRefusal) -> String {
        let by = refusal.reporter.map { " (\($0) says so)" } ?? ""
        return switch refusal.kind {
        case .timeExceeded: "too many hops" + by
        case .portUnreachable: "port closed" + by
        case .hostUnreachable: "no route" + by
        case .prohibited: "forbidden by an administrator" + by
        case .tooBig: "the packet is too big" + by
        }
    }
}
