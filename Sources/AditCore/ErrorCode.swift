// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The stable number of a kind of error, written `ADIT-201` on every screen and in every log.
///
/// A number is never given a second meaning. What each means, why it happens and how to mend it is the page that
/// `adit explain` prints.
package enum ErrorCode: Int, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// The server cannot be reached.
    case serverUnreachable = 101
    /// The server's name does not resolve.
    case nameDoesNotResolve = 102
    /// Something on the way answers in place of the server: a portal that wants a sign-in, or a proxy.
    case captivePortal = 103
    /// UDP does not reach the server; TCP is used.
    case udpBlocked = 104
    /// No STUN server answers, so that nothing can be said about the network.
    case stunSilent = 106
    /// A TURN server does not relay.
    case relayUnusable = 107
    /// The invite was already used.
    case inviteUsed = 110
    /// The invite's time is over.
    case inviteExpired = 111
    /// The invite is not one that this server made.
    case inviteWrong = 112
    /// The invite's limit, or the limit of tries, is reached.
    case inviteLimit = 113
    /// The owner removed this device.
    case deviceRemoved = 114
    /// The token is wrong, empty or missing.
    case tokenRefused = 115
    /// This computer has not joined a server.
    case notJoined = 116
    /// The server's key is not the one that this device pinned, or no authority vouches for it.
    case serverKeyChanged = 120
    /// The two clocks are too far apart.
    case clockOff = 121
    /// The two versions have no wire in common, or the other side is not Adit.
    case versionsApart = 122
    /// Nothing listens where the tunnel points.
    case nothingListens = 201
    /// The target speaks HTTPS where HTTP was said, or the reverse.
    case wrongScheme = 202
    /// The target refused and Adit runs in a container.
    case refusedInContainer = 203
    /// The target listens on another address of this machine.
    case otherAddress = 204
    /// The app rejects the Host header.
    case hostRejected = 205
    /// The app does not answer in time.
    case appTooSlow = 206
    /// The target is the tunnel itself.
    case targetLoop = 207
    /// The target's address may not be a tunnel's target.
    case targetRefused = 208
    /// The device is there, and what its service leads to does not answer.
    case serviceDown = 211
    /// The device is online, and offers no service of that name to this one.
    case serviceUnknown = 212
    /// A program that the command needs is not installed.
    case programMissing = 213
    /// The other end of a service did not prove that it knows the secret.
    case serviceUnproven = 214
    /// The device is offline.
    case deviceOffline = 221
    /// No tunnel has the name that the visitor asked for.
    case nameUnknown = 222
    /// The visitor's address is not on the tunnel's list.
    case visitorRefused = 223
    /// The tunnel asks the visitor for a user and a password.
    case signInNeeded = 224
    /// The visitor's request names another host than its TLS connection.
    case misdirected = 225
    /// The name is served with TLS, and the visitor came without.
    case movedToTLS = 226
    /// The name is not a valid one.
    case nameInvalid = 301
    /// The name belongs to another device.
    case nameTaken = 302
    /// The name is kept for the server itself or was released a short time ago.
    case nameReserved = 303
    /// The invite does not allow this name or kind of tunnel.
    case notAllowed = 304
    /// The port is taken.
    case portTaken = 305
    /// Browsers refuse the port.
    case portBlockedByBrowsers = 306
    /// The port is outside the range that the server gives out.
    case portOutsideRange = 307
    /// A newer run on the same device took the tunnel over.
    case takenOver = 308
    /// The kind of tunnel is not offered by this server.
    case kindUnavailable = 309
    /// The wildcard record of the server's domain is missing.
    case wildcardMissing = 310
    /// Another client has a private proxy of that name.
    case proxyExists = 311
    /// A quota or a limit is reached.
    case limitReached = 320
    /// No device of that name has joined the server.
    case deviceUnknown = 410
    /// The device, or the server, takes no part in finding paths between devices.
    case pathsOff = 411
    /// Another key than before speaks for a device.
    case deviceKeyChanged = 412
    /// There is no path to a device, neither direct nor relayed.
    case noPath = 413
    /// A port that is attacked within a day was about to be opened to the whole internet.
    case riskyPort = 501
    /// No router answers requests for ports.
    case routerSilent = 711
    /// The router answers, and does not give the port.
    case routerRefused = 712
    /// The router's port does not lead to the internet: another NAT stands in front of it.
    case doubleNAT = 713
    /// A configuration file is wrong.
    case configuration = 901
    /// A command was used wrongly.
    case usage = 902
    /// The state folder, or a file in it, cannot be read or written.
    case state = 903
    /// A port that Adit itself listens on is taken or not allowed.
    case cannotListen = 904
    /// Another Adit server runs on the same state folder, or none runs where one is needed.
    case serverProcess = 905
    /// A certificate or its key cannot be used.
    case certificateUnusable = 906
    /// The other side broke the protocol.
    case protocolBroken = 910

    /// The code as people see it.
    package var description: String { "ADIT-\(rawValue)" }
}
