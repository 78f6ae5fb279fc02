// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform

/// What the process does with memory that it has freed.
package enum ProcessMemory {
    /// Keeps up to 16 MiB of it for the next buffers; to be called before other threads are.
    package static func keepFreed() {
        adit_keep_freed_memory()
    }
}
