// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import NIOCore
import NIOPosix

/// Why no address of a host could be reached, address by address.
package struct DialFailure: Error, Sendable, Hashable {
    /// One address and what became of it.
    package struct Attempt: Sendable, Hashable {
        /// The address that was tried.
        package var address: IPEndpoint
        /// The operating system's words.
        package var reason: String
    }

    /// What was dialled.
    package var target: HostPort
    /// The addresses that were tried.
    package var attempts: [Attempt]
    /// Why the name gave no address; nil when it gave some.
    package var nameError: String?

    /// What a person is told.
    package var error: AditError {
        guard attempts.isEmpty, let nameError else {
            return AditError(
                .serverUnreachable,
                Text("The server \(target) cannot be reached", zh: "无法连接服务器 \(target)"),
                why: attempts.map { Text(verbatim: "\($0.address): \($0.reason)") },
                fix: Text("check that the server runs and its port is open", zh: "请检查服务器是否在运行、端口是否开放")
            )
        }
        return AditError(
            .nameDoesNotResolve,
            Text("The name \(target.host) does not resolve", zh: "无法解析域名 \(target.host)"),
            why: [Text(verbatim: nameError)],
            fix: Text("check the spelling and this computer's DNS", zh: "请检查拼写以及本机的 DNS")
        )
    }

    init(_ failure: any Error, target: HostPort) {
        self.target = target
        attempts = []
        guard let failure = failure as? NIOConnectionError else {
            nameError = Self.words(failure)
            return
        }
        attempts = failure.connectionErrors.compactMap { single in
            IPEndpoint(single.target).map { Attempt(address: $0, reason: Self.words(single.error)) }
        }
        if attempts.isEmpty {
            nameError = (failure.dnsAError ?? failure.dnsAAAAError).map(Self.words) ?? "the name has no address"
        }
    }

    init(target: HostPort, address: IPEndpoint, _ failure: any Error, nameError: String?) {
        self.target = target
        attempts = [Attempt(address: address, reason: Self.words(failure))]
        self.nameError = nameError
    }

    /// `Connection refused` out of NIO's `… (error set: Connection refused) (errno: 111)`.
    static func words(_ error: any Error) -> String {
        if case .some(.connectTimeout(let time)) = error as? ChannelError {
            return "no answer in \(time.nanoseconds / 1_000_000_000) s"
        }
        var text = Substring("\(error)")
        if error is IOError {
            if let end = text.firstRange(of: " (errno") { text = text[..<end.lowerBound] }
            if let colon = text.lastIndex(of: ":") { text = text[text.index(after: colon)...].drop { $0 == " " } }
            if text.last == ")" { text.removeLast() }
        }
        return String(text)
    }
}
