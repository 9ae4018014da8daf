// SPDX-License-Identifier: Apache-2.0
//
// AllocatorTuning.swift
// Tells the C library's allocator to keep large buffers. Without it glibc gives every buffer above 128 KiB back to the
// kernel and faults its pages in again, which costs a broker a factor of three.

internal import CCodecs

/// Settings of the C library's allocator.
public enum AllocatorTuning {
    /// Buffers up to this size come from the heap: all that a broker reuses.
    public static let mmapThresholdBytes: Int32 = 64 << 20
    /// Free memory at the heap's top that is kept for the next burst.
    public static let trimThresholdBytes: Int32 = 512 << 20

    /// Applies the settings.
    ///
    /// Call it first thing in main, before any thread exists.
    ///
    /// - Returns: false where the C library has no such settings; nothing else depends on them.
    @discardableResult public static func apply() -> Bool {
        codecs_tune_allocator(mmapThresholdBytes, trimThresholdBytes)
    }
}
