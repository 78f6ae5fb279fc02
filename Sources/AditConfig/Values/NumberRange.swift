// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A list of numbers as frp writes it: `6000-6006,6007`.
enum NumberRange {
    /// The numbers in the order in which they are written, at most 65536 of them.
    static func parse(_ text: String) throws(ValueFault) -> [Int64] {
        var numbers: [Int64] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let bounds = part.split(separator: "-", omittingEmptySubsequences: false)
            guard bounds.count <= 2, let low = number(bounds[0]),
                let high = bounds.count == 2 ? number(bounds[1]) : low
            else {
                let shown = SourceText.printable(String(part))
                throw ValueFault(
                    Text(
                        "\"\(shown)\" is not a number or a range such as 6000-6006",
                        zh: "\"\(shown)\" 不是数字或范围(如 6000-6006)"
                    )
                )
            }
            guard low <= high else {
                throw ValueFault(
                    Text("the range \(low)-\(high) runs backwards", zh: "范围 \(low)-\(high) 的起点大于终点")
                )
            }
            guard high - low < Int64(TemplateExpansion.maximumRange - numbers.count) else {
                throw ValueFault(
                    Text(
                        "there are more than \(TemplateExpansion.maximumRange) numbers",
                        zh: "数字超过 \(TemplateExpansion.maximumRange) 个"
                    )
                )
            }
            numbers.append(contentsOf: low...high)
        }
        return numbers
    }

    private static func number(_ text: Substring) -> Int64? {
        var digits = text
        while digits.first == " " { digits.removeFirst() }
        while digits.last == " " { digits.removeLast() }
        guard (1...10).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        return Int64(digits)
    }
}
