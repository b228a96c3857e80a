// Hooks for React, on the SDK.

export {};
