// SPDX-License-Identifier: Apache-2.0
//
// StoreReader.swift
// Opens a data directory without changing it, for the inspector: secondary index database, segments and journal read-only.
// (Read-only opening and the verifier live in this folder and are being written by the inspector's author.)
