// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// An endpoint that sockets are shown to, to compare as what they are seen.
struct MappingTarget: Sendable, Hashable {
    var endpoint: IPEndpoint
    /// To which server it belongs.
    var server: Int
}

/// As what a target saw a socket.
struct MappingSample: Sendable, Hashable {
    /// Sockets of one number are one socket, or share one local TCP port.
    var socket: UInt32
    /// Samples of one burst have one number; nil for those outside of bursts.
    var burst: Int?
    /// Its place in the order of sending.
    var order: Int
    var local: IPEndpoint
    var target: MappingTarget
    var external: IPEndpoint
}

/// What a filtering test showed.
struct FilteringSample: Sendable, Hashable {
    var test: FilteringTest
    /// Whether the request that opens the way was answered; without it the test says nothing.
    var isOpen = false
    /// Whether the answer from elsewhere arrived.
    var hasPassed = false
}

/// What was seen of one protocol.
struct BehaviorObservations: Sendable {
    /// Whether anything was asked.
    var wasAsked = false
    var samples: [MappingSample] = []
    var filtering: [FilteringSample] = []
    /// Whether answers from elsewhere arrive where nothing filters them; nil when that was not tried.
    var control: [FilteringTest: Bool] = [:]
    /// Which tests the server can take part in.
    var offered: Set<FilteringTest> = []
    /// Why a filtering test could not be made.
    var obstacle: NATDoubt = .noAnswer
    var hairpin: NATFinding<Bool> = .unknown(.notMeasured)
    var lifetime: NATFinding<MappingLifetime> = .unknown(.notMeasured)
    /// Servers whose answers are contradicted by most others.
    var outvoted: Set<Int> = []

    /// Whether any server answered.
    var hasAnswers: Bool { !samples.isEmpty }

    /// The samples of servers that are believed.
    var believed: [MappingSample] { samples.filter { !outvoted.contains($0.target.server) } }
}
