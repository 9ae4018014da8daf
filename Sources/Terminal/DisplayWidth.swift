// SPDX-License-Identifier: Apache-2.0
//
// DisplayWidth.swift
// How many columns a text takes, so that tables stay aligned for every script.

extension String {
    /// The columns this text takes on a terminal: two for wide East Asian characters and emoji, one for others.
    public var displayWidth: Int {
        if utf8.allSatisfy({ $0 < 0x80 }) { return utf8.count }
        return reduce(0) { $0 + ($1.isWide ? 2 : 1) }
    }

    /// The longest prefix that takes at most `columns` columns.
    public func truncated(toColumns columns: Int) -> String {
        var width = 0
        var kept = ""
        for character in self {
            width += character.isWide ? 2 : 1
            if width > columns { break }
            kept.append(character)
        }
        return kept
    }

    /// This text with everything that could move a terminal's cursor replaced, so that stored data cannot forge output.
    public var printable: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            text.unicodeScalars.append(scalar.isControl ? "\u{FFFD}" : scalar)
        }
        return text
    }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}

extension Character {
    fileprivate var isWide: Bool {
        guard let value = unicodeScalars.first?.value else { return false }
        switch value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            return true
        default: return false
        }
    }
}
