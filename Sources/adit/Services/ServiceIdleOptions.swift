// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import ArgumentParser

/// How long a silent flow of datagrams is remembered.
struct ServiceIdleOptions: ParsableArguments {
    @Option(
        name: .customLong("idle"),
        help: ArgumentHelp("Forget a silent flow of UDP after this time. (1m)", valueName: "time")
    )
    var text: String?

    /// The time; nil for the usual.
    func timeout() throws -> Duration? {
        guard let text else { return nil }
        guard let time = try? DurationText.parse(text), time >= .seconds(1), time <= .seconds(86_400) else {
            throw ValidationError("--idle is from 1s to 1d")
        }
        return time
    }
}
