// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
package import AditTransport
package import AditTunnel
package import AditWire

/// Which server a command talks to, and what both sides show each other.
package struct ServerChoice: Sendable {
    /// The server.
    package var server: HostPort
    /// What this device shows.
    package var credentials: DeviceCredentials
    /// What the server has to show.
    package var trust: ServerTrust
    /// The framing of the session.
    package var wireVersion = FRPWireVersion.v2

    /// Chooses from what the person said: a joined server, or one named with a token or an invite.
    ///
    /// A server that is named without a fingerprint must be one that the system's authorities vouch for, or the token
    /// must be an invite, which carries the fingerprint; there is no way to accept any key.
    /// - Throws: `ErrorCode.notJoined`, `usage`, `inviteWrong` or `state`.
    package static func choose(
        server: String?,
        token: String?,
        fingerprint: String?,
        home: DeviceHome
    ) throws(AditError) -> ServerChoice {
        let pinned = try fingerprint.map(read)
        guard let server else {
            guard token == nil, pinned == nil else {
                throw AditError(
                    .usage,
                    Text("--token and --fingerprint need --server", zh: "--token 和 --fingerprint 需要与 --server 同用"),
                    fix: "adit http 3000 --server HOST:PORT --token TOKEN"
                )
            }
            return try joined(nil, home: home)
        }
        guard let place = HostPort(server, defaultPort: 7000) else {
            throw AditError(
                .usage,
                Text("\"\(server)\" is not a server", zh: "“\(server)” 不是服务器地址"),
                fix: "--server tunnel.example.com:7000"
            )
        }
        guard let token else {
            if pinned == nil { return try joined(place, home: home) }
            throw AditError(
                .usage,
                Text("--server needs a token", zh: "--server 需要令牌"),
                fix: "adit http 3000 --server HOST:PORT --token TOKEN"
            )
        }
        guard !token.isEmpty else {
            throw AditError(.tokenRefused, Text("the token is empty", zh: "令牌为空"))
        }
        let key = try home.deviceKey()
        if let invite = inviteCode(token, for: place) {
            let trust = pinned.map(ServerTrust.pinned) ?? .pinnedPrefix(invite.fingerprintPrefix)
            return ServerChoice(server: place, credentials: .device(key, invite: invite.secret), trust: trust)
        }
        let trust = pinned.map(ServerTrust.pinned) ?? .publicAuthorities(name: place.host)
        return ServerChoice(server: place, credentials: .token(token, key), trust: trust)
    }

    /// The joined server of that place, or the one joined last.
    private static func joined(_ place: HostPort?, home: DeviceHome) throws(AditError) -> ServerChoice {
        let servers = try home.servers()
        guard let server = place.map({ place in servers.first { $0.place == place } }) ?? servers.first else {
            throw AditError(
                .notJoined,
                place.map { Text("this computer has not joined \($0)", zh: "本机尚未加入 \($0)") }
                    ?? Text("this computer has not joined a server", zh: "本机尚未加入服务器"),
                why: [Text("looked in \(home.path)", zh: "查找位置：\(home.path)")],
                fix: Text(
                    "adit join INVITE    (on the server:  adit server invite)",
                    zh: "adit join 邀请    （在服务器上：  adit server invite）"
                )
            )
        }
        return ServerChoice(
            server: server.place,
            credentials: .device(try home.deviceKey(), invite: nil),
            trust: .pinned(try read(server.fingerprint)),
            wireVersion: server.wire ?? .v2
        )
    }

    /// The invite, when the token is one: the code alone, or with a host in front.
    private static func inviteCode(_ token: String, for place: HostPort) -> InviteCode? {
        try? InviteCode(token.contains("/") ? token : "\(place)/\(token)")
    }

    private static func read(_ fingerprint: String) throws(AditError) -> KeyFingerprint {
        guard let key = KeyFingerprint(fingerprint) else {
            throw AditError(
                .usage,
                Text(
                    "\"\(fingerprint.prefix(80))\" is not a key fingerprint",
                    zh: "“\(fingerprint.prefix(80))” 不是密钥指纹"
                ),
                why: [Text("it begins with SHA256: and has 43 more characters", zh: "格式为 SHA256: 加 43 个字符")],
                fix: Text("on the server:  adit server status", zh: "在服务器上：  adit server status")
            )
        }
        return key
    }
}
