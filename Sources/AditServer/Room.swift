// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Room of the package; see docs/architecture.md.
enum AditServerRoom {}
