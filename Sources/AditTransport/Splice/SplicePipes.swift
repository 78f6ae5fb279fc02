// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform

/// A pipe of the kernel through which spliced bytes pass.
struct SplicePipe {
    let output: CInt
    let input: CInt
}

/// The pipes of one thread; a connection has one only while bytes are in it.
struct SplicePipes {
    /// What is asked of the kernel; it may give less, and nothing relies on the size.
    static let capacity = 256 * 1024
    /// How many empty pipes are kept for the next connection.
    private static let maximumKept = 32

    /// How many pipes there may be; bounds file descriptors, and what readers that stopped reading can hold back.
    private let maximumCount: Int
    private var kept: [SplicePipe] = []
    private var count = 0

    init(maximumCount: Int) {
        self.maximumCount = maximumCount
    }

    /// An empty pipe; nil when there are too many, or when the system gives none (EMFILE, ENFILE).
    mutating func take() -> SplicePipe? {
        if let pipe = kept.popLast() { return pipe }
        guard count < maximumCount else { return nil }
        var ends: (CInt, CInt) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) { bytes in
            adit_pipe_create(bytes.bindMemory(to: CInt.self).baseAddress, CInt(Self.capacity))
        }
        guard result == 0 else { return nil }
        count += 1
        return SplicePipe(output: ends.0, input: ends.1)
    }

    /// Takes a pipe back; one that is not empty is closed.
    mutating func giveBack(_ pipe: SplicePipe, isEmpty: Bool) {
        if isEmpty, kept.count < Self.maximumKept {
            kept.append(pipe)
        } else {
            close(pipe)
        }
    }

    /// Closes the pipes that are kept.
    mutating func closeAll() {
        while let pipe = kept.popLast() { close(pipe) }
    }

    private mutating func close(_ pipe: SplicePipe) {
        adit_close(pipe.output)
        adit_close(pipe.input)
        count -= 1
    }
}
