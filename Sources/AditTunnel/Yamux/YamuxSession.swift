// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// One end of a yamux session (hashicorp/yamux specification): streams, windows, pings and the way they end.
///
/// The machine sees headers and counts of bytes, never the bytes: the driver moves them and asks `payloadStreamID` where
/// they go. After every input the driver takes all outputs. A `.transmit` of a data header is followed on the wire by the
/// bytes that the driver announced with `.send`.
package struct YamuxSession: Sendable {
    /// What happens to the session.
    package enum Input: Sendable, Equatable {
        /// The peer sent a header; never while payload of the last one is outstanding.
        case header(YamuxHeader)
        /// The peer sent 12 bytes that are not a header.
        case malformedHeader(YamuxHeaderError)
        /// The peer sent that many of the bytes that the last header announced.
        case payload(Int)
        /// The reader of a stream took that many of the bytes that arrived.
        case consumed(UInt32, Int)
        /// That many bytes, 1 to `sendWindow(of:)`, are to be sent on a stream now.
        case send(UInt32, Int)
        /// A stream of the peer's was given to somebody.
        case accept(UInt32)
        /// This end sends nothing more on a stream, and still reads it.
        case finish(UInt32)
        /// This end sends nothing more on a stream and reads no more of it.
        case close(UInt32)
        /// A stream is broken off.
        case reset(UInt32)
        /// What waits on its way to this end of a stream is old soon: the window follows the reader's speed.
        case keepShort(UInt32)
        /// The connection takes bytes again, or takes none for now.
        case writability(Bool)
        /// The way to the peer may be gone: something has to come within this time, or the session fails.
        case check(Duration)
        /// No new streams; `.finished` follows when the last has ended.
        case shutDown
        /// `nextDeadline` has come.
        case deadline
    }

    /// What the driver has to do.
    package enum Output: Sendable, Equatable {
        /// Send a header; a data header is followed by its payload.
        case transmit(YamuxHeader)
        /// The peer opened a stream: answer with `.accept` or `.reset`.
        case streamOpened(UInt32)
        /// A stream whose window was used up may send again.
        case windowOpened(UInt32)
        /// The peer sends nothing more on a stream; everything it sent has arrived.
        case streamFinished(UInt32)
        /// A stream is gone.
        case streamReset(UInt32, YamuxResetCause)
        /// A ping was answered after this time.
        case roundTrip(Duration)
        /// The peer takes no new streams.
        case peerGoingAway
        /// All streams have ended after `.shutDown`: close the connection.
        case finished
        /// The session is over for this reason: close the connection once everything is sent.
        case failed(YamuxFailure)
    }

    /// The role that decides the parity of this end's stream ids.
    package let role: YamuxRole
    /// The limits and timers.
    package let configuration: YamuxConfiguration

    /// The latest measured round trip; nil before the first.
    package internal(set) var roundTripTime: Duration?
    /// The latest few round trips, the newest last.
    var roundTrips: [Duration] = []
    /// How many bytes of the last header's payload are still to come.
    package internal(set) var payloadRemaining = 0
    /// The stream that the arriving payload belongs to; nil when it is to be thrown away.
    package internal(set) var payloadStreamID: UInt32?
    /// How many bytes were received or announced and not yet consumed, of all streams.
    package internal(set) var bufferedBytes = 0

    var streams: [UInt32: YamuxStreamState] = [:]
    var nextID: UInt32
    var highestPeerID: UInt32 = 0
    var unacceptedCount = 0
    var openingCount = 0
    var grownWindow = 0
    var owedReplies = 0
    var isConnectionWritable = true
    var isShuttingDown = false
    var isPeerGoingAway = false
    var isOver = false

    var waitingOpens = StreamQueue()
    var acknowledgementDeadlines = StreamQueue()
    var openDeadlines = StreamQueue()
    var lingerDeadlines = StreamQueue()
    var halfClosedDeadlines = StreamQueue()
    var nextPing: Instant?
    var pingSentAt: Instant?
    var pingValue: UInt32 = 0
    var lastActivity: Instant
    /// Since when and until when something has to come; nil while nothing is doubted.
    var doubt: (since: Instant, until: Instant)?

    private var outputs: [Output] = []
    private var nextOutputIndex = 0

    /// Begins a session on a connection that is up; the first ping is due at once.
    package init(role: YamuxRole, configuration: YamuxConfiguration, at now: Instant) {
        precondition(configuration.startingWindow >= YamuxConfiguration.initialWindow, "window below yamux's own")
        precondition(configuration.maximumStreamWindow >= configuration.startingWindow, "window above the maximum")
        precondition(configuration.maximumStreams > 0 && configuration.acceptBacklog > 0, "no stream possible")
        self.role = role
        self.configuration = configuration
        nextID = role == .client ? 1 : 2
        nextPing = configuration.pingInterval == nil ? nil : now
        lastActivity = now
    }

    /// How many streams are open, waiting or lingering.
    package var activeStreamCount: Int { streams.count }

    /// How many bytes may be sent on a stream now; 0 for a stream that is gone.
    package func sendWindow(of id: UInt32) -> Int {
        guard let stream = streams[id], stream.phase != .waiting, !isOver else { return 0 }
        return Int(stream.sendWindow)
    }

    /// Takes the next output, in order; nil when the driver has done them all.
    package mutating func nextOutput() -> Output? {
        guard nextOutputIndex < outputs.count else { return nil }
        let output = outputs[nextOutputIndex]
        nextOutputIndex += 1
        if nextOutputIndex == outputs.count {
            outputs.removeAll(keepingCapacity: outputs.count <= 64)
            nextOutputIndex = 0
        }
        return output
    }

    /// Tells the session what happened; inputs after its end, and about streams that are gone, change nothing.
    package mutating func handle(_ input: Input, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .header(let header): receive(header, at: now)
        case .malformedHeader(let error): fail(.malformedHeader(error))
        case .payload(let count): receivePayload(count, at: now)
        case .consumed(let id, let count): consume(id, count, at: now)
        case .send(let id, let count): send(id, count)
        case .accept(let id): accept(id, at: now)
        case .finish(let id): finish(id, at: now)
        case .close(let id): close(id, at: now)
        case .reset(let id):
            if streams[id] != nil { sendReset(id, at: now) }
        case .keepShort(let id): keepShort(id)
        case .writability(let isWritable): changeWritability(isWritable, at: now)
        case .check(let patience): check(within: patience, at: now)
        case .shutDown: shutDown(at: now)
        case .deadline: expire(at: now)
        }
    }

    mutating func emit(_ output: Output) {
        outputs.append(output)
    }

    mutating func transmit(
        _ kind: YamuxHeader.Kind,
        _ flags: YamuxHeader.Flags,
        streamID: UInt32 = 0,
        length: UInt32 = 0
    ) {
        outputs.append(.transmit(YamuxHeader(kind, flags, streamID: streamID, length: length)))
    }

    /// Sends something that the peer made this end say; a peer that does not take the answers is cut off.
    mutating func reply(
        _ kind: YamuxHeader.Kind,
        _ flags: YamuxHeader.Flags,
        streamID: UInt32 = 0,
        length: UInt32 = 0
    ) {
        if !isConnectionWritable {
            owedReplies += 1
            guard owedReplies <= configuration.maximumOwedReplies else {
                fail(.repliesNotTaken)
                return
            }
        }
        transmit(kind, flags, streamID: streamID, length: length)
    }

    mutating func fail(_ failure: YamuxFailure) {
        guard !isOver else { return }
        switch failure {
        case .refusedByPeer, .peerUnresponsive, .repliesNotTaken: break
        default: transmit(.goAway, [], length: 1)
        }
        isOver = true
        streams = [:]
        payloadStreamID = nil
        bufferedBytes = 0
        nextPing = nil
        pingSentAt = nil
        emit(.failed(failure))
    }
}

/// Why a stream is gone although nobody here asked for it.
package enum YamuxResetCause: Sendable, Equatable {
    /// The peer reset it.
    case peer
    /// The peer did not acknowledge it, or did not end it, in time.
    case timeout
    /// The session holds too many bytes that nobody reads.
    case limit
    /// The peer went away before the stream could be opened.
    case goingAway
}

/// Why a stream cannot be opened.
package enum YamuxOpenError: Error, Sendable, Equatable {
    /// This end or the peer takes no new streams, or the session is over.
    case goingAway
    /// As many streams are open as may be.
    case tooManyStreams
    /// All 2³¹ ids of this end have been used.
    case idsExhausted
}
