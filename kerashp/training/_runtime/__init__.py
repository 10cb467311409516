"""What a process computes with: the backend, its devices and memory maps, threads and settings.

Nothing of kerashp's models enters; arrays and functions of the backend leave.
"""
