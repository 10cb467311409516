"""The process and the backend: devices, random states, warnings, forks, memory maps.

The rest of training takes arrays and compiled functions from here, and names no backend itself.
"""
