;;; echo.el --- Emacs as a server of a benchmark  -*- lexical-binding: t -*-

;; emacs --batch -Q -l echo.el -- DIRECTORY

;;; Code:

(defun bench-echo (process text)
  "Send TEXT back to PROCESS, which may be gone; an error would end a batch Emacs."
  (ignore-errors (process-send-string process text)))

(defun bench-pieces (process text)
  "Send TEXT back to PROCESS in four pieces."
  (let ((size (max 1 (/ (length text) 4))) (at 0))
    (while (< at (length text))
      (bench-echo process (substring text at (min (length text) (+ at size))))
      (setq at (+ at size)))))

(defun bench-sink (_process _text)
  "Take what comes.")

(defun bench-listen (name filter &rest keywords)
  "A server NAME with FILTER and KEYWORDS; its service."
  (process-contact
   (apply #'make-network-process :name name :server 1024 :filter filter :sentinel #'ignore
          :coding 'binary :noquery t keywords)
   :service))

(defun bench-address (name filter)
  "The service NAME on loopback with FILTER, as a part of JSON."
  (format "%S: \"tcp:127.0.0.1:%d\"" name
          (bench-listen name filter :host "127.0.0.1" :service t :family 'ipv4)))

(let* ((directory (car (last command-line-args)))
       (path (expand-file-name (format "%d.socket" (emacs-pid)) directory)))
  (setq command-line-args-left nil)
  (bench-listen "unix" #'bench-echo :family 'local :service path)
  ;; Unlike princ, it does not keep what it writes.
  (send-string-to-terminal
   (format "{%s, %s, %s, \"unix\": \"unix:%s\"}\n"
           (bench-address "tcp" #'bench-echo)
           (bench-address "pieces" #'bench-pieces)
           (bench-address "sink" #'bench-sink)
           path))
  (while t (accept-process-output nil 1000)))

;;; echo.el ends here
