// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform

/// Who may do what with a file.
package enum FilePermissions {
    /// Whether others than the owner and its group may read the file, or others than the owner may write it; links are
    /// followed. A file that cannot be asked for is not.
    package static func areLoose(_ path: String) -> Bool {
        let mode = adit_file_permissions(path)
        return mode > 0 && mode & 0o026 != 0
    }
}
