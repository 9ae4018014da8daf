// SPDX-License-Identifier: Apache-2.0
//
// VectorFile.swift
// Reads the golden vectors: hexadecimal bytes, each line followed by the field that it encodes.

import Foundation
import NIOCore

/// One encoded message and what it holds.
struct VectorSample: Sendable, CustomStringConvertible {
    /// The file without its ending: a message's name.
    let file: String
    let version: Int16
    /// What stands after the version in the sample's heading.
    let title: String
    var bytes: [UInt8] = []
    /// The fields in wire order as `path = value`; what is in parentheses in the file is left out.
    var fields: [String] = []

    var description: String { "\(file) v\(version)\(title.isEmpty ? "" : " " + title)" }
    var buffer: ByteBuffer { ByteBuffer(bytes: bytes) }
}

enum VectorFile {
    struct Malformed: Error {
        let line: String
    }

    /// Whether there is a file `<folder>/<name>.hex`.
    static func exists(_ name: String, in folder: String) -> Bool {
        Bundle.module.url(forResource: name, withExtension: "hex", subdirectory: folder) != nil
    }

    /// All samples of `<folder>/<name>.hex`.
    ///
    /// A heading is `@ version <number> <title>`; any other line is `<hex> # <comment>`, both parts optional.
    static func samples(_ name: String, in folder: String = "Vectors") throws -> [VectorSample] {
        guard let url = Bundle.module.url(forResource: name, withExtension: "hex", subdirectory: folder) else {
            throw Malformed(line: "no file \(name).hex")
        }
        var samples: [VectorSample] = []
        for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("@ version ") {
                let words = line.dropFirst("@ version ".count).split(separator: " ", maxSplits: 1)
                guard let version = words.first.flatMap({ Int16($0) }) else { throw Malformed(line: String(line)) }
                samples.append(
                    VectorSample(file: name, version: version, title: words.count > 1 ? String(words[1]) : ""))
                continue
            }
            let parts = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
            let hex = parts[0].trimmingCharacters(in: .whitespaces)
            guard !samples.isEmpty else { continue }
            guard let bytes = bytes(hex) else { throw Malformed(line: String(line)) }
            samples[samples.count - 1].bytes += bytes
            guard parts.count > 1 else { continue }
            let comment = parts[1].trimmingCharacters(in: .whitespaces)
            if !comment.hasPrefix("(") { samples[samples.count - 1].fields.append(comment) }
        }
        return samples
    }

    static func bytes(_ hex: String) -> [UInt8]? {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == hex.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

extension Sequence where Element == UInt8 {
    /// Two hexadecimal digits a byte.
    var hex: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}
