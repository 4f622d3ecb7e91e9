import './styles/base.css'
import './styles/layout.css'
import './styles/entry.css'
import './styles/parts.css'
import './styles/tables.css'
import './styles/controls.css'
import './styles/charts.css'
import 'uplot/dist/uPlot.min.css'
import { render } from 'preact'
import { App } from './app.tsx'

const place = document.getElementById('app')
if (place !== null) render(<App />, place)
