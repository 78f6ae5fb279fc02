// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditTraversal
import CAditQUIC
import DequeModule
package import NIOCore

/// One end of a QUIC connection (RFC 9000): packets and the time go in, packets and events come out.
///
/// It has no socket, no clock and no thread, so that tests run it in virtual time; its owner calls everything from one place,
/// with a time that never goes back. After each call the owner takes the events, then calls `write`.
package final class QUICConnection {
    /// What happened.
    package enum Event {
        /// Both ends have proved their keys; streams may be opened.
        case established
        /// The peer opened a stream.
        case opened(Int64)
        /// Bytes of a stream, and whether they are the last; `consumed` is to be called for them.
        case data(Int64, ByteBuffer, isEnd: Bool)
        /// The peer sends no more of a stream, although not all of it came.
        case reset(Int64, code: UInt64)
        /// The peer reads no more of a stream, before everything was sent.
        case stopped(Int64)
        /// Both directions of a stream are over.
        case closed(Int64)
        /// The peer lets this end open more streams.
        case streamsAllowed
        /// A datagram.
        case datagram(ByteBuffer)
        /// The connection is over; nothing more happens.
        case ended(QUICEnd)
    }

    /// Which end it is.
    package let isClient: Bool
    /// Whether both ends have proved their keys.
    package private(set) var isEstablished = false
    /// Why it is over; nil while it is not.
    package private(set) var end: QUICEnd?
    /// The packet that tells the peer of the end, to be sent once; nil when there is nothing to tell.
    package private(set) var farewell: PacketBatch?

    private let quic: OpaquePointer
    /// The size of packets, in bytes: what the way to the peer carries. Datagrams fit into the smallest.
    package var packetSize: Int {
        didSet { if packetSize != oldValue { adit_quic_set_packet_size(quic, packetSize) } }
    }

    private var events = Deque<Event>()
    /// Bytes that came and are not an event yet.
    private var intake = QUICIntake()

    private var queues: [Int64: QUICSendQueue] = [:]
    private var line = Deque<QUICSendQueue>()
    /// Streams that the peer's windows stopped; whether they still do is seen when something has come.
    private var blocked: [QUICSendQueue] = []
    /// How long this process has stood still, or there was no way, together.
    private var slept = Duration.zero
    /// When it was last seen awake.
    private var lookedAt = Instant.zero
    private var datagrams = Deque<ByteBuffer>()
    /// Where packets are written while there are many of them.
    private var scratch: [UInt8] = []

    /// So many bytes of one stream go before the next one's, so that neither end changes streams with each packet.
    static let turnBytes = 16 * 1024
    /// So many datagrams wait to be sent; of more the oldest go, as on any way that is too slow.
    private static let datagramLimit = 256

    /// Makes the end that speaks first; the peer has to prove the key with that fingerprint.
    package static func client(
        _ identity: QUICIdentity,
        peer: KeyFingerprint,
        limits: QUICLimits = QUICLimits(),
        at now: Instant
    ) -> QUICConnection {
        let connection = make(limits, isClient: true) { events, owner, limits in
            peer.bytes.withUnsafeBufferPointer { peer in
                adit_quic_client(identity.pointer, peer.baseAddress, limits, events, owner, now.quic)
            }
        }
        guard let connection else { preconditionFailure("there is no memory for a connection") }
        return connection
    }

    /// Makes the end that answers; nil when the packet begins no connection. The packet is still to be handed to `receive`.
    package static func server(
        _ identity: QUICIdentity,
        peer: KeyFingerprint,
        limits: QUICLimits = QUICLimits(),
        first packet: [UInt8],
        at now: Instant
    ) -> QUICConnection? {
        make(limits, isClient: false) { events, owner, limits in
            peer.bytes.withUnsafeBufferPointer { peer in
                packet.withUnsafeBufferPointer { packet in
                    adit_quic_server(
                        identity.pointer,
                        peer.baseAddress,
                        limits,
                        events,
                        owner,
                        now.quic,
                        packet.baseAddress,
                        packet.count
                    )
                }
            }
        }
    }

    private static func make(
        _ limits: QUICLimits,
        isClient: Bool,
        _ body: (
            UnsafePointer<adit_quic_events>, UnsafeMutableRawPointer, UnsafePointer<adit_quic_limits>
        ) -> OpaquePointer?
    ) -> QUICConnection? {
        // The C side knows its owner by a reference that is filled in once the owner exists.
        let owner = QUICOwner()
        var raw = limits.raw
        var events = QUICOwner.events
        let made = withUnsafePointer(to: &raw) { raw in
            withUnsafePointer(to: &events) { events in
                body(events, Unmanaged.passUnretained(owner).toOpaque(), raw)
            }
        }
        guard let made else { return nil }
        return QUICConnection(made, owner, limits, isClient: isClient)
    }

    private let owner: QUICOwner

    private init(_ quic: OpaquePointer, _ owner: QUICOwner, _ limits: QUICLimits, isClient: Bool) {
        self.quic = quic
        self.owner = owner
        self.isClient = isClient
        packetSize = limits.packetSize.first
        owner.connection = self
    }

    deinit {
        adit_quic_free(quic)
    }

    // MARK: Packets and time

    /// Whether a packet is of this connection, by its connection id.
    package func owns(_ packet: some Collection<UInt8>) -> Bool {
        packet.withContiguousStorageIfAvailable { adit_quic_owns(quic, $0.baseAddress, $0.count) != 0 } ?? false
    }

    /// Takes packets. What is not authentic changes nothing.
    package func receive(_ batch: PacketBatch, at now: Instant) {
        guard end == nil else { return }
        let now = awake(now)
        intake.expect(batch.bytes.count)
        batch.bytes.withUnsafeBufferPointer { bytes in
            var start = 0
            while start < bytes.count, end == nil {
                let count = min(batch.segmentSize, bytes.count - start)
                let packet = UnsafeBufferPointer(rebasing: bytes[start..<start + count])
                note(adit_quic_receive(quic, packet.baseAddress, packet.count, now.quic), now)
                start += count
            }
        }
        flushIntake()
        let blocked = blocked
        self.blocked = []
        for queue in blocked {
            queue.isBlocked = false
            lineUp(queue)
        }
    }

    /// When `expire` is due; nil for never.
    package var deadline: Instant? {
        guard end == nil else { return nil }
        let deadline = adit_quic_deadline(quic)
        return deadline == UInt64.max ? nil : Instant(nanoseconds: Int64(clamping: deadline)) + slept
    }

    /// The time without that in which this process stood still or its owner had no way, though something was due: what was under
    /// way then has not been so for long, and a round trip takes what it took before.
    private func awake(_ now: Instant) -> Instant {
        if let due = deadline {
            let late = now - max(due, lookedAt)
            if late > Self.standstill { slept += late }
        }
        lookedAt = now
        return now + (.zero - slept)
    }

    /// Nobody is late by so much who is not asleep.
    private static let standstill = Duration.seconds(2)

    /// Does what is due: acknowledgements, losses, the pace.
    package func expire(at now: Instant) {
        guard end == nil else { return }
        let now = awake(now)
        note(adit_quic_expire(quic, now.quic), now)
    }

    /// The way to the peer is another one: a probe that waits for its time, which grows with each one lost, is due now.
    package func hurry(at now: Instant) {
        guard end == nil else { return }
        let now = awake(now)
        note(adit_quic_hurry(quic, now.quic), now)
    }

    /// Writes what may be sent now; `emit` is called for each batch.
    package func write(at now: Instant, _ emit: (PacketBatch) -> Void) {
        guard end == nil else { return }
        let now = awake(now)
        let packetSize = adit_quic_packet_size(quic)
        // One packet more would be a batch by itself.
        var left = min(max(adit_quic_quantum(quic), packetSize), PacketBatch.byteLimit)
        var hasMore = true
        var overhang: [UInt8] = []
        while end == nil, !overhang.isEmpty || (hasMore && left >= packetSize) {
            var segmentSize = 0
            var next: [UInt8] = []
            // Packets are written where they stay: a copy of many would cost as much as sending some of them. It is the same
            // memory again once nobody has them any more, which the processor has in its cache.
            var bytes = scratch
            scratch = []
            bytes.removeAll(keepingCapacity: true)
            bytes.append(addingCapacity: max(left, overhang.count)) { span in
                span.withUnsafeMutableBufferPointer { memory, count in
                    guard let start = memory.baseAddress else { return }
                    var batch = QUICBatch(start, byteLimit: memory.count, packetSize: packetSize)
                    batch.begin(with: overhang)
                    hasMore = fill(&batch, now)
                    next = [UInt8](UnsafeBufferPointer(start: batch.space, count: batch.overhang))
                    (count, segmentSize) = (batch.count, batch.segmentSize)
                }
            }
            guard segmentSize > 0 else { break }
            left -= bytes.count - overhang.count + next.count
            overhang = next
            // A few are not to keep the memory of many.
            let isFew = bytes.count < PacketBatch.byteLimit / 4
            if isFew { bytes = bytes.withUnsafeBufferPointer { [UInt8]($0) } }
            emit(PacketBatch(bytes: bytes, segmentSize: segmentSize))
            if !isFew { scratch = bytes }
        }
        if end == nil { adit_quic_wrote(quic, now.quic) }
    }

    /// Writes packets until the batch is complete; false when nothing more is to be sent now.
    private func fill(_ batch: inout QUICBatch, _ now: Instant) -> Bool {
        while end == nil, batch.hasRoom {
            if !datagrams.isEmpty, let length = writeDatagram(into: batch.space, now) {
                batch.add(length)
            } else if !writePackets(into: &batch, now) {
                return false
            }
        }
        return true
    }

    /// A packet with the datagram that waits longest; nil when there is none, or when it has to wait.
    private func writeDatagram(into space: UnsafeMutablePointer<UInt8>, _ now: Instant) -> Int? {
        while let datagram = datagrams.first {
            var taken: CInt = 0
            let result = datagram.withUnsafeReadableBytes { bytes in
                var piece = adit_quic_span(
                    bytes: bytes.bindMemory(to: UInt8.self).baseAddress,
                    length: bytes.count
                )
                return adit_quic_write_datagram(quic, space, &piece, 1, &taken, now.quic)
            }
            if taken != 0 || result == Int(ADIT_QUIC_TOO_LARGE) {
                datagrams.removeFirst()
            }
            if result > 0 { return result }
            if result == Int(ADIT_QUIC_TOO_LARGE) { continue }
            if result < 0 { note(CInt(result), now) }
            return nil
        }
        return nil
    }

    /// Writes packets with the bytes of the streams in the line, or with nothing but what QUIC itself has to say; false when
    /// nothing more is to be sent now.
    private func writePackets(into batch: inout QUICBatch, _ now: Instant) -> Bool {
        while let queue = line.first {
            guard queue.hasWork, !queue.isBlocked else {
                line.removeFirst()
                queue.isInLine = false
                continue
            }
            let isAlone = line.count == 1
            var run = batch.run
            var isAll = false
            let result = queue.withPieces { pieces, isLast in
                isAll = isLast
                var offer = adit_quic_offer()
                offer.stream = queue.stream
                offer.spans = pieces.baseAddress
                offer.count = pieces.count
                offer.is_all = isLast ? 1 : 0
                offer.is_end = isLast && queue.isEnding ? 1 : 0
                offer.more = isAlone ? 0 : 1
                offer.enough = isAlone ? Int.max : max(0, Self.turnBytes - queue.sentInTurn)
                return adit_quic_write(quic, &run, &offer, now.quic)
            }
            batch.add(run)
            if run.taken >= 0 { queue.sent(Int(run.taken), all: isAll) }
            switch result {
            case CInt(ADIT_QUIC_WRITTEN):
                if !queue.hasWork || queue.sentInTurn >= Self.turnBytes { turn(queue) }
                return true
            case 0: return false
            case CInt(ADIT_QUIC_MORE): break
            case CInt(ADIT_QUIC_STREAM_BLOCKED):
                queue.isBlocked = true
                blocked.append(queue)
            case CInt(ADIT_QUIC_STREAM_OVER):
                queue.abandon()
                events.append(.stopped(queue.stream))
            default:
                note(result, now)
                return false
            }
            turn(queue)
        }
        return complete(&batch, now)
    }

    private func complete(_ batch: inout QUICBatch, _ now: Instant) -> Bool {
        var run = batch.run
        var offer = adit_quic_offer()
        offer.stream = -1
        let result = adit_quic_write(quic, &run, &offer, now.quic)
        batch.add(run)
        if result < 0 { note(result, now) }
        return result > 0
    }

    /// The first in the line goes to its end, or out of it.
    private func turn(_ queue: QUICSendQueue) {
        line.removeFirst()
        queue.sentInTurn = 0
        queue.isInLine = queue.hasWork && !queue.isBlocked
        if queue.isInLine { line.append(queue) }
    }

    /// Whether something has happened that was not told.
    package var hasEvents: Bool { !events.isEmpty }

    /// What happened since; to be called until it is nil.
    package func nextEvent() -> Event? { events.popFirst() }

    // MARK: Streams

    /// Opens a stream of both directions; nil while the peer allows none.
    package func open() -> Int64? {
        guard end == nil, isEstablished else { return nil }
        let stream = adit_quic_open(quic)
        guard stream >= 0 else { return nil }
        queues[stream] = QUICSendQueue(stream)
        return stream
    }

    /// Sends bytes; they wait here until the peer has them.
    package func send(_ buffer: ByteBuffer, on stream: Int64) {
        guard let queue = queues[stream] else { return }
        queue.append(buffer)
        lineUp(queue)
    }

    /// Sends the end of a stream's data.
    package func finish(_ stream: Int64) {
        guard let queue = queues[stream] else { return }
        queue.end()
        lineUp(queue)
    }

    /// Sends no more of a stream, and says so (RESET_STREAM).
    package func reset(_ stream: Int64, code: UInt64) {
        guard end == nil, queues[stream] != nil else { return }
        queues[stream]?.abandon()
        adit_quic_reset(quic, stream, code)
    }

    /// Reads no more of a stream, and says so (STOP_SENDING).
    package func stop(_ stream: Int64, code: UInt64) {
        guard end == nil, queues[stream]?.isInputOver == false else { return }
        queues[stream]?.isInputOver = true
        adit_quic_stop(quic, stream, code)
    }

    /// So many bytes of a stream were read: the peer may send as many more.
    package func consumed(_ count: Int, of stream: Int64) {
        guard end == nil, count > 0 else { return }
        adit_quic_consumed(quic, stream, UInt64(count))
    }

    /// How many bytes of a stream wait to be sent.
    package func unsentBytes(of stream: Int64) -> Int { queues[stream]?.unsentBytes ?? 0 }

    /// How many bytes are held until the peer has them, of all streams.
    package var heldBytes: Int { queues.values.reduce(0) { $0 + $1.heldBytes } }

    /// Sends a datagram, when it fits into a packet; false when it does not.
    package func sendDatagram(_ payload: ByteBuffer) -> Bool {
        guard end == nil, isEstablished, payload.readableBytes <= datagramLimit else { return false }
        if datagrams.count >= Self.datagramLimit { datagrams.removeFirst() }
        datagrams.append(payload)
        return true
    }

    /// The largest datagram, in bytes; 0 when the peer takes none.
    package var datagramLimit: Int { end == nil ? adit_quic_datagram_limit(quic) : 0 }

    private func lineUp(_ queue: QUICSendQueue) {
        guard queue.hasWork, !queue.isInLine, !queue.isBlocked else { return }
        queue.isInLine = true
        line.append(queue)
    }

    // MARK: The connection

    /// Sends something when nothing came for so long; nil for never.
    package func keepAlive(after time: Duration?) {
        guard end == nil else { return }
        adit_quic_keep_alive(quic, time.map { $0.quic } ?? UInt64.max)
    }

    /// Closes the connection; the packet that tells the peer is `farewell`.
    package func close(code: UInt64 = 0, at now: Instant) {
        guard end == nil else { return }
        writeFarewell(code, awake(now).quic)
        conclude(.closedHere)
    }

    /// 32 bytes that only both ends know (RFC 8446 section 7.5).
    package func exportKeyingMaterial(label: String) -> [UInt8]? {
        guard isEstablished, end == nil else { return nil }
        var label = label
        var secret = [UInt8](repeating: 0, count: 32)
        let isDone = label.withUTF8 { label in
            label.withMemoryRebound(to: CChar.self) { adit_quic_export(quic, $0.baseAddress, $0.count, &secret) }
        }
        return isDone == 1 ? secret : nil
    }

    /// What the connection measures.
    package var figures: QUICFigures {
        var raw = adit_quic_figures()
        adit_quic_measure(quic, &raw)
        return QUICFigures(raw)
    }

    private func note(_ result: CInt, _ now: Instant) {
        guard result < 0, end == nil else { return }
        var code: UInt64 = 0
        var isApplication: CInt = 0
        let words = String(cString: adit_quic_reason(quic, &code, &isApplication))
        switch result {
        case CInt(ADIT_QUIC_DRAINING): conclude(.closedByPeer(code: code, isApplication: isApplication != 0))
        case CInt(ADIT_QUIC_TIMED_OUT): conclude(.timedOut)
        default:
            writeFarewell(0, now.quic)
            conclude(.failed(code: code, words))
        }
    }

    private func writeFarewell(_ code: UInt64, _ now: UInt64) {
        let bytes = [UInt8](unsafeUninitializedCapacity: adit_quic_packet_size(quic)) { memory, count in
            count = max(0, adit_quic_write_close(quic, memory.baseAddress, code, now))
        }
        if !bytes.isEmpty { farewell = PacketBatch(bytes) }
    }

    private func conclude(_ end: QUICEnd) {
        flushIntake()
        self.end = end
        queues = [:]
        line = []
        blocked = []
        datagrams = []
        events.append(.ended(end))
    }

    // MARK: What the C side tells

    func established() {
        isEstablished = true
        events.append(.established)
    }

    func opened(_ stream: Int64) {
        flushIntake()
        queues[stream] = QUICSendQueue(stream)
        events.append(.opened(stream))
    }

    func came(_ bytes: UnsafeRawBufferPointer, on stream: Int64, isEnd: Bool) {
        if !bytes.isEmpty { intake.add(bytes, on: stream) }
        guard isEnd else { return }
        queues[stream]?.isInputOver = true
        events.append(.data(stream, intake.take(stream), isEnd: true))
    }

    func acknowledged(_ count: Int, of stream: Int64) { queues[stream]?.acknowledged(count) }

    func wasReset(_ stream: Int64, code: UInt64) {
        flushIntake()
        queues[stream]?.isInputOver = true
        events.append(.reset(stream, code: code))
    }

    func wasClosed(_ stream: Int64) {
        flushIntake()
        queues[stream] = nil
        events.append(.closed(stream))
    }

    func mayOpen() { events.append(.streamsAllowed) }

    func cameDatagram(_ bytes: UnsafeRawBufferPointer) {
        events.append(.datagram(ByteBuffer(bytes: bytes)))
    }

    private func flushIntake() {
        while let (stream, buffer) = intake.next() { events.append(.data(stream, buffer, isEnd: false)) }
    }
}
