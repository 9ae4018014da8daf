// SPDX-License-Identifier: Apache-2.0
//
// SizeText.swift
// Sizes as bounds are written in messages and in the reference.

/// Prints sizes so that they can be read back without loss.
enum SizeText {
    private static let units = [("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]

    /// The size in the largest unit that leaves no rest.
    static func text(bytes: Int) -> String {
        for (name, shift) in units where bytes > 0 && bytes % (1 << shift) == 0 { return "\(bytes >> shift) \(name)" }
        return "\(bytes) B"
    }
}
