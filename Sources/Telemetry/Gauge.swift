// SPDX-License-Identifier: Apache-2.0
//
// Gauge.swift
// A number that rises and falls.

public import Synchronization

/// A level: connections that are open, bytes that wait.
///
/// Values that can be computed when they are asked for are better registered with a closure
/// (``MetricRegistry/gauge(_:help:labels:read:)``): they cost nothing between scrapes.
public final class Gauge: Sendable {
    @usableFromInline let level: Atomic<Int64>

    /// Makes a gauge at 0 that no registry renders.
    public init() { level = Atomic(0) }

    /// Replaces the level.
    @inlinable public func set(_ value: Int) { level.store(Int64(value), ordering: .relaxed) }

    /// Adds `amount`, which may be negative.
    @inlinable public func add(_ amount: Int) { level.wrappingAdd(Int64(amount), ordering: .relaxed) }

    /// Adds `amount` and returns the new level; for limits that several threads share.
    @inlinable public func adding(_ amount: Int) -> Int {
        Int(level.wrappingAdd(Int64(amount), ordering: .relaxed).newValue)
    }

    /// The level as of now.
    @inlinable public var value: Int { Int(level.load(ordering: .relaxed)) }
}
