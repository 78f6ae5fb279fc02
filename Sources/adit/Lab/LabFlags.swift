// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import ArgumentParser

/// Wrong words for the lab, as errors for people.
enum LabFlags {
    /// A share of lost packets from percent.
    static func loss(_ percent: Double) throws(AditError) -> Double {
        guard percent >= 0, percent <= 90 else {
            throw AditError(.usage, Text("--loss is from 0 to 90 percent", zh: "--loss 的取值为 0 到 90（百分比）"))
        }
        return percent / 100
    }

    /// A number of a flag within a range.
    static func number(_ value: Int, _ flag: String, _ range: ClosedRange<Int>) throws(AditError) -> Int {
        guard range.contains(value) else {
            throw AditError(
                .usage,
                Text(
                    "\(flag) is from \(range.lowerBound) to \(range.upperBound)",
                    zh: "\(flag) 的取值为 \(range.lowerBound) 到 \(range.upperBound)"
                )
            )
        }
        return value
    }

    /// A site from its description.
    static func site(_ text: String, _ name: String) throws(AditError) -> SiteSpecification {
        do throws(SiteSpecificationError) {
            return try SiteSpecification(text)
        } catch {
            var refusal = error.error
            refusal.what = Text("site \(name): \(refusal.what.english)", zh: "站点 \(name)：\(refusal.what.chinese)")
            throw refusal
        }
    }

    /// How hosts try, from its word.
    static func tactic(_ word: String) throws(AditError) -> PlayTactic {
        if let tactic = PlayTactic(rawValue: word) { return tactic }
        let words = PlayTactic.allCases.map(\.rawValue)
        let list = words.joined(separator: ", ")
        let nearest = KeySuggestion.nearest(to: word, among: words)
        throw AditError(
            .usage,
            Text("--tactic \(word) is none that the lab knows", zh: "--tactic \(word) 不是实验可用的策略"),
            why: [Text("it is one of \(list)", zh: "可用：\(list)")],
            fix: nearest.map { Text(verbatim: "--tactic \($0)") }
        )
    }

    /// A run of the lab that has no end is a fault of the lab, not of the person.
    static func failure(_ failure: LabFailure) -> AditError {
        AditError(
            .protocolBroken,
            Text("the play in the lab did not end", zh: "实验未能结束"),
            why: [Text(verbatim: failure.description)]
        )
    }
}
