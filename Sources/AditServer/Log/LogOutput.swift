// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import Logging
import NIOConcurrencyHelpers
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where finished log lines go: a descriptor or a file, written by a thread of its own.
///
/// An event loop that logs never waits for a terminal or a disk. When more than `maximumWaiting` lines wait, further ones are
/// dropped, and how many were is written as soon as there is room.
package final class LogOutput: Sendable {
    /// How many lines may wait for the writer.
    package static let maximumWaiting = 4096
    /// A log file that grows beyond this many bytes within a day is renamed and a new one begun.
    package static let maximumFileSize = 64 << 20

    private struct State {
        var waiting: [String] = []
        var dropped = 0
        var isWriting = false
        var isHurried = false
    }

    /// How long the writer rests after a write, in microseconds: lines that come meanwhile share the next one.
    ///
    /// A busy tunnel logs thousands of visitors a second, and waking the writer for each costs more than its line.
    private static let rest: UInt32 = 10_000

    private let state = NIOLockedValueBox(State())
    private let file: NIOLockedValueBox<LogFile>
    private let levelBox = NIOLockedValueBox(Logger.Level.info)
    private let writer = NIOThreadPool(numberOfThreads: 1)

    /// Writes to the process's standard output.
    package static func standardOutput() -> LogOutput {
        LogOutput(LogFile(descriptor: STDOUT_FILENO))
    }

    /// Writes to the end of the file at `path`, a new one each day; files older than `maxDays` days are removed.
    ///
    /// nil when the file cannot be opened.
    package static func file(_ path: String, maxDays: Int) -> LogOutput? {
        LogFile(path: path, maxDays: maxDays).map(LogOutput.init)
    }

    private init(_ file: LogFile) {
        self.file = NIOLockedValueBox(file)
        writer.start()
    }

    /// The least important level that is written.
    package var level: Logger.Level {
        get { levelBox.withLockedValue { $0 } }
        set { levelBox.withLockedValue { $0 = newValue } }
    }

    /// Adds a line, without its line end; returns at once.
    package func write(_ line: String) {
        let isIdle = state.withLockedValue { state in
            guard state.waiting.count < Self.maximumWaiting else {
                state.dropped += 1
                return false
            }
            state.waiting.append(line)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if isIdle { writer.submit { [state, file] _ in Self.drain(state, file) } }
    }

    private static func drain(_ state: NIOLockedValueBox<State>, _ file: NIOLockedValueBox<LogFile>) {
        while true {
            let (lines, isHurried) = state.withLockedValue { state in
                var lines = state.waiting
                if state.dropped > 0 { lines.append("\(state.dropped) lines were dropped here") }
                state.waiting = []
                state.dropped = 0
                if lines.isEmpty { state.isWriting = false }
                return (lines, state.isHurried)
            }
            guard !lines.isEmpty else { return }
            file.withLockedValue { $0.append(lines.joined(separator: "\n") + "\n") }
            if !isHurried { usleep(rest) }
        }
    }

    /// Waits until every line so far is written; for the end of the process only.
    package func flush() {
        let done = ConditionLock(value: 0)
        state.withLockedValue { $0.isHurried = true }
        writer.submit { _ in
            done.lock()
            done.unlock(withValue: 1)
        }
        if done.lock(whenValue: 1, timeoutSeconds: 2) { done.unlock() }
    }
}

/// The one writer's end of a log.
struct LogFile: Sendable {
    private var descriptor: Int32
    private let path: String?
    private let maxDays: Int
    private var day = ""
    private var size = 0

    init(descriptor: Int32) {
        self.descriptor = descriptor
        path = nil
        maxDays = 0
    }

    init?(path: String, maxDays: Int) {
        self.path = path
        self.maxDays = max(1, maxDays)
        descriptor = -1
        guard reopen() else { return nil }
        day = LogTime.now().day
    }

    mutating func append(_ text: String) {
        if path != nil { rotate() }
        var bytes = Array(text.utf8)[...]
        size += bytes.count
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { sendAll(descriptor, $0) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    private func sendAll(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, buffer.baseAddress, buffer.count)
        #elseif canImport(Musl)
        Musl.write(descriptor, buffer.baseAddress, buffer.count)
        #else
        Darwin.write(descriptor, buffer.baseAddress, buffer.count)
        #endif
    }

    private mutating func reopen() -> Bool {
        guard let path else { return true }
        let opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard opened >= 0 else { return false }
        if descriptor >= 0 { close(descriptor) }
        descriptor = opened
        size = Int(lseek(opened, 0, SEEK_END))
        return true
    }

    private mutating func rotate() {
        guard let path else { return }
        let today = LogTime.now().day
        guard today != day || size > LogOutput.maximumFileSize else { return }
        rename(path, "\(path).\(day)")
        day = today
        _ = reopen()
        // Names end in the day, so those of the days to keep are known without reading the folder.
        for age in maxDays...(maxDays + 30) { unlink("\(path).\(LogTime.now(daysAgo: age).day)") }
    }
}
