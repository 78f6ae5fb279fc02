// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a `PathFinder` is told when it is made.
package struct PathConfiguration: Sendable, Equatable {
    /// This device, as its peers name it.
    package var ownID: PathPeerID
    /// Which paths are wanted.
    package var policy: PathPolicy
    /// Which tactics may be used for direct paths; without `.plain` no candidates but the relay's are told.
    package var tactics: Set<PathTactic>
    /// The server's services.
    package var server: PathServer
    /// The interfaces of this machine.
    package var network: LocalNetwork
    /// The port of the UDP sockets; 0 lets the system choose.
    package var localPort: UInt16
    /// Whether no ports are searched for: on metered or watched lines.
    package var isQuiet: Bool
    /// Whether the NAT's mappings are kept open and known while there is no peer, so that the next path is found faster.
    package var staysReady: Bool
    /// How many peers there may be at once.
    package var peerLimit: Int
    /// How long everything takes.
    package var timing: PathTiming

    /// Makes a configuration.
    package init(
        ownID: PathPeerID,
        policy: PathPolicy = .automatic,
        tactics: Set<PathTactic> = PathTactic.usual,
        server: PathServer = PathServer(),
        network: LocalNetwork = LocalNetwork(),
        localPort: UInt16 = 0,
        isQuiet: Bool = false,
        staysReady: Bool = false,
        peerLimit: Int = 256,
        timing: PathTiming = PathTiming()
    ) {
        self.ownID = ownID
        self.policy = policy
        self.tactics = tactics
        self.server = server
        self.network = network
        self.localPort = localPort
        self.isQuiet = isQuiet
        self.staysReady = staysReady
        self.peerLimit = peerLimit
        self.timing = timing
    }
}

/// How long a `PathFinder` waits for what.
package struct PathTiming: Sendable, Equatable {
    /// How long what STUN servers saw is taken for true, and how often it is asked again where mappings are kept open.
    package var freshness = Duration.seconds(25)
    /// Candidates that come within this time share a signal.
    package var gathering = Duration.milliseconds(2)
    /// A signal that was not acknowledged is sent again after this time, doubled each time up to 30 s.
    package var signalRetry = Duration.seconds(1)
    /// How often it is sent at most.
    package var signalTries = 8
    /// How long plain checks have until TCP is tried too.
    package var tcpDelay = Duration.milliseconds(300)
    /// How long plain checks have until openers are tried.
    package var openersDelay = Duration.seconds(1)
    /// How long plain checks have until ports are searched for, where the NATs are not known to need it.
    package var searchDelay = Duration.seconds(3)
    /// How long both NATs are looked at before blocks of ports are searched.
    package var blockDelay = Duration.seconds(4)
    /// How long what has no search is tried before the reason for its failing is told; it is tried further until `patience`.
    package var verdict = Duration.seconds(10)
    /// How long a direct path that went silent is asked whether it answers again, until all is tried anew.
    package var recheck = Duration.seconds(3)
    /// How long to wait after all tactics failed; doubled each time.
    package var retry = Duration.seconds(60)
    /// The same, first, where a direct path has worked.
    package var recovery = Duration.seconds(15)
    /// The longest wait.
    package var retryLimit = Duration.seconds(600)
    /// How long there may be no path at all before it counts as failed.
    package var patience = Duration.seconds(40)

    /// Makes the usual timing.
    package init() {}
}
